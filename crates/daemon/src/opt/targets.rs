//! The command lines of `nsplice targets` and `nsplice completion`.

use std::path::PathBuf;

use nsplice_backend::Options;
use structopt::StructOpt;

use super::answer::Answer;
use super::text;
use crate::environment::Environment;
use crate::filter::Filter;
use crate::request::{OutputFormat, Shell, TargetsRequest};

#[derive(Debug, StructOpt)]
pub(super) struct Targets {
    #[structopt(value_name = "FILTER", help = text::FILTER)]
    filter: Option<Filter>,
    #[structopt(long, short, help = text::WATCH)]
    watch: bool,
    #[structopt(long, value_name = "DIR", parse(from_os_str), help = text::ROOT)]
    root: Option<PathBuf>,
    #[structopt(long, value_name = "FORMAT", help = text::OUTPUT)]
    output: Option<OutputFormat>,
}

#[derive(Debug, StructOpt)]
pub(super) struct Completion {
    #[structopt(value_name = "SHELL", help = text::SHELL)]
    shell: Shell,
}

impl Targets {
    /// Puts together what was typed and what the environment says.
    pub(super) fn into_request(
        self,
        environment: Environment<'_>,
    ) -> Result<TargetsRequest, Answer> {
        Ok(TargetsRequest {
            filter: self.filter.unwrap_or_default(),
            watch: environment.flag(self.watch, "watch")?,
            options: Options { root: environment.path(self.root, "root"), ..Options::default() },
            format: environment.twin(self.output, "output", str::parse)?.unwrap_or_default(),
        })
    }
}

impl Completion {
    /// The shell that was typed.
    pub(super) fn into_shell(self) -> Shell {
        self.shell
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::opt::{parse, Answer};
    use crate::request::{Gap, Request};

    fn read(words: &str) -> Result<Request, Answer> {
        let words = std::iter::once("nsplice").chain(words.split(' ')).map(OsString::from);
        parse(words, Environment(&|_| None))
    }

    #[test]
    fn targets_are_filtered_watched_and_looked_for_elsewhere() {
        let line = "targets web-* --watch --root /host --output json";
        let Ok(Request::Targets(request)) = read(line) else { panic!("refused") };
        assert_eq!(request.filter, "web-*".parse().unwrap());
        assert!(request.watch);
        assert_eq!(request.options.root, Some("/host".into()));
        assert_eq!(request.format, OutputFormat::Json);
        let Ok(Request::Targets(request)) = read("targets") else { panic!("refused") };
        assert!(!request.watch && request.format == OutputFormat::Table);
        let Ok(Request::Completion(shell)) = read("completion zsh") else { panic!("refused") };
        assert_eq!(shell, Shell::Zsh);
        let Err(Answer::Usage(told)) = read("completion sh") else { panic!("accepted") };
        assert!(told.contains("write bash, zsh or fish"), "{told}");
        let Ok(Request::Complete(it)) = read("__complete -- check ") else { panic!("refused") };
        assert_eq!(it.gap, Gap::Target);
    }
}
