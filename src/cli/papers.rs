//! `polarferry completions` and `polarferry man`: what a package or a shell wants to know of the command line. Both are made from the
//! definition of the commands itself, so they cannot fall behind it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use super::{Cli, Exit, Failure, say};

#[derive(Debug, clap::Args)]
pub struct Completions {
    /// The shell that is to complete
    shell: Shell,
}

#[derive(Debug, clap::Args)]
pub struct Pages {
    /// Directory for polarferry.1 and a page for each command
    directory: PathBuf,
}

/// What the definition of the commands does not know, for the end of the first page.
const MORE: &str = r#".SH "EXIT STATUS"
0 done; 64 usage; 65 data, a failed precheck or drift; 69 no daemon answers; 70 internal; 75 a retry window ran out;
77 fenced by another instance, or sealed; 78 configuration, refused login or TLS.
.SH SIGNALS
To
.BR "polarferry run" :
SIGTERM and SIGINT finish the batch in hand, commit and exit 0; a second one exits at once and loses nothing. SIGHUP reads the file again:
[throttle], [log] and the token change at once, the rest waits for a start. SIGUSR1 writes the whole state to the log.
.SH ENVIRONMENT
Every key of the configuration as POLARFERRY__SECTION__KEY. POLARFERRY_LOG sets what is logged, whatever [log] level says, as info or info,polarferry::apply=debug.
.SH FILES
.TP
/etc/polarferry/TASK.toml
the configuration of the unit polarferry@TASK; every key is in /usr/share/doc/polarferry/examples/polarferry.example.toml
.TP
/etc/credstore/polarferry.TASK.source_password, .target_password, .http_token
its secrets, root's and mode 0600
.TP
/var/lib/polarferry/TASK/checkpoint.json
a readable copy of the checkpoint; it is never read back
.SH "SEE ALSO"
.BR systemctl (1),
.BR journalctl (1)
"#;

pub(super) fn completions(arguments: &Completions) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "polarferry", &mut script);
    say(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}

pub(super) fn pages(arguments: &Pages) -> Result<Exit, Failure> {
    write_pages(&arguments.directory).map_err(|error| {
        let cause = format!("{}: {error}", arguments.directory.display());
        Failure::new(Exit::Internal, cause, "name a directory that may be written to")
    })?;
    Ok(Exit::Done)
}

fn write_pages(directory: &Path) -> io::Result<()> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    for page in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        let name = format!("polarferry-{}", page.get_name());
        let man = Man::new(page.clone()).title(name.clone());
        let mut text = Vec::new();
        man.render(&mut text)?;
        fs::write(directory.join(name + ".1"), text)?;
    }
    let mut text = Vec::new();
    Man::new(command).render(&mut text)?;
    text.extend_from_slice(MORE.as_bytes());
    fs::write(directory.join("polarferry.1"), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_that_is_shown_has_a_page() {
        let directory = tempfile::tempdir().expect("a directory");
        write_pages(directory.path()).expect("pages");
        let first = fs::read_to_string(directory.path().join("polarferry.1")).expect("a page");
        for command in ["check", "run", "status", "verify", "cutover", "pause", "resume", "throttle", "config", "completions"] {
            let page = fs::read_to_string(directory.path().join(format!("polarferry-{command}.1"))).expect(command);
            assert!(page.contains(".SH SYNOPSIS"), "{page}");
            assert!(first.contains(command), "{command} is not in the first page");
        }
        assert!(!directory.path().join("polarferry-man.1").exists());
        assert!(first.contains("EXIT STATUS"));
    }
}
