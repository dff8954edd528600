#compdef nsplice
# zsh completion for nsplice. For this shell: source <(nsplice completion zsh)
# For all: nsplice completion zsh >/usr/local/share/zsh/site-functions/_nsplice

_nsplice() {
    local -a found
    found=("${(@f)$(${~words[1]} __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    case $found[1] in
    files) _files ;;
    directories) _files -/ ;;
    *) compadd -- "${(@)found[2,-1]}" ;;
    esac
}

# Called as the completion of that name, or sourced.
if [[ $funcstack[1] == _nsplice ]]; then
    _nsplice "$@"
else
    compdef _nsplice nsplice
fi
