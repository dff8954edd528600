# fish completion for nsplice. For this shell: nsplice completion fish | source
# For all: nsplice completion fish >/usr/share/fish/vendor_completions.d/nsplice.fish

function __nsplice_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l found (eval $words[1] __complete -- (string escape -- $words[2..-1] "$current") 2>/dev/null)
    switch "$found[1]"
        case files
            __fish_complete_path "$current"
        case directories
            __fish_complete_directories "$current" ''
        case '*'
            string join \n -- $found[2..-1]
    end
end

complete -c nsplice -f -a '(__nsplice_complete)'
