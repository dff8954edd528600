//! The commands, each with its words for the help.

use structopt::clap::AppSettings;
use structopt::StructOpt;

use super::check::Check;
use super::compare::Compare;
use super::connect::Connect;
use super::forward::Forward;
use super::install::Install;
use super::lookup::Lookup;
use super::run::Run;
use super::serve::Serve;
use super::targets::{Completion, Targets};
use super::text;

#[derive(Debug, StructOpt)]
#[structopt(
    name = "nsplice",
    about = text::ABOUT,
    usage = text::USAGE,
    template = text::TEMPLATE,
    after_help = text::EXAMPLES,
    help_message = text::HELP,
    version_message = text::VERSION,
    global_settings = &[
        AppSettings::DeriveDisplayOrder,
        AppSettings::UnifiedHelpMessage,
        AppSettings::VersionlessSubcommands,
        AppSettings::ColorNever,
        AppSettings::AllowNegativeNumbers,
    ],
    setting = AppSettings::SubcommandRequiredElseHelp,
    setting = AppSettings::DisableHelpSubcommand,
)]
pub(super) enum Command {
    #[structopt(
        visible_alias = "port-forward",
        about = text::FORWARD_ABOUT,
        usage = text::FORWARD_USAGE,
        template = text::FORWARD_TEMPLATE,
        after_help = text::FORWARD_EXAMPLES,
        help_message = text::HELP,
    )]
    Forward(Forward),
    #[structopt(
        about = text::CONNECT_ABOUT,
        usage = text::CONNECT_USAGE,
        template = text::CONNECT_TEMPLATE,
        after_help = text::CONNECT_EXAMPLES,
        help_message = text::HELP,
    )]
    Connect(Connect),
    #[structopt(
        about = text::RUN_ABOUT,
        usage = text::RUN_USAGE,
        template = text::RUN_TEMPLATE,
        after_help = text::RUN_EXAMPLES,
        help_message = text::HELP,
    )]
    Run(Run),
    #[structopt(
        about = text::SERVE_ABOUT,
        usage = text::SERVE_USAGE,
        template = text::SERVE_TEMPLATE,
        after_help = text::SERVE_EXAMPLES,
        help_message = text::HELP,
    )]
    Serve(Serve),
    #[structopt(
        about = text::CHECK_ABOUT,
        usage = text::CHECK_USAGE,
        template = text::CHECK_TEMPLATE,
        after_help = text::CHECK_EXAMPLES,
        help_message = text::HELP,
    )]
    Check(Check),
    #[structopt(
        about = text::LOOKUP_ABOUT,
        usage = text::LOOKUP_USAGE,
        template = text::LOOKUP_TEMPLATE,
        after_help = text::LOOKUP_EXAMPLES,
        help_message = text::HELP,
    )]
    Lookup(Lookup),
    #[structopt(
        about = text::TARGETS_ABOUT,
        usage = text::TARGETS_USAGE,
        template = text::TARGETS_TEMPLATE,
        after_help = text::TARGETS_EXAMPLES,
        help_message = text::HELP,
    )]
    Targets(Targets),
    #[structopt(
        about = text::INSTALL_ABOUT,
        usage = text::INSTALL_USAGE,
        template = text::INSTALL_TEMPLATE,
        after_help = text::INSTALL_EXAMPLES,
        help_message = text::HELP,
    )]
    Install(Install),
    #[structopt(
        about = text::COMPARE_ABOUT,
        usage = text::COMPARE_USAGE,
        template = text::COMPARE_TEMPLATE,
        after_help = text::COMPARE_EXAMPLES,
        help_message = text::HELP,
    )]
    Compare(Compare),
    #[structopt(
        about = text::COMPLETION_ABOUT,
        usage = text::COMPLETION_USAGE,
        template = text::COMPLETION_TEMPLATE,
        after_help = text::COMPLETION_EXAMPLES,
        help_message = text::HELP,
    )]
    Completion(Completion),
}
