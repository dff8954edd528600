# bash completion for nsplice. For this shell: source <(nsplice completion bash)
# For all: nsplice completion bash >/usr/share/bash-completion/completions/nsplice

_nsplice() {
    local line=$COMP_LINE rest word
    local -a words=() found
    # bash takes = and : for words of their own. What no blank comes before belongs to the word before it.
    for word in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
        rest=${line#"${line%%[![:space:]]*}"}
        if [[ ${#words[@]} -gt 0 && -n $word && $rest == "$line" ]]; then
            words[${#words[@]} - 1]+=$word
        else
            words+=("$word")
        fi
        line=${rest#"$word"}
    done
    mapfile -t found < <("${words[0]/#\~/$HOME}" __complete -- "${words[@]:1}" 2>/dev/null)
    COMPREPLY=()
    case ${found[0]} in
    files) compopt -o default ;;
    directories) compopt -o dirnames ;;
    *)
        word=${COMP_WORDS[COMP_CWORD]}
        if [[ $word == [=:] ]]; then word=; fi
        rest=${words[${#words[@]} - 1]}
        rest=${rest%"$word"}
        COMPREPLY=("${found[@]:1}")
        COMPREPLY=("${COMPREPLY[@]#"$rest"}")
        ;;
    esac
}
complete -F _nsplice nsplice
