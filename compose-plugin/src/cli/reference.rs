//! docs/reference/cli.md: the command line as a page. `UPDATE_EXPECT=1` writes it anew.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command, CommandFactory as _};

use super::Cli;

/// What stands above the commands, because no help text says it.
const HEAD: &str = "\
# The command line

<!-- Written by a test from the program's own help texts (compose-plugin/src/cli/reference.rs). Change those, then run the test with UPDATE_EXPECT=1. -->

`docker locket …` and `locket …` are the same program.

Results go to standard output, everything else to standard error.
Questions are asked on a terminal only; elsewhere a command that would ask says which option answers it.

## Exit codes

| code | meaning |
|---|---|
| 0 | done |
| 1 | the user's problem: a mistake in a file, a backend or an engine that does not answer, a refusal, unknown arguments |
| 2 | locket's own problem: please report it |
| 3 | `plan --detailed-exitcode`: something would be done |

- `check` ends with 1 for problems in the files only; with 2 when it cannot look at them: unknown arguments, no such file, no compose.
- `generate --check` ends with 1 when something differs.
- `wait` ends with 1 when the condition does not hold in time, `controller status` when no controller answers.
- `doctor` ends with 1 when it finds an error, or `--fix` could not remove everything.
- `up` ends with the exit code of `docker compose up`, `controller logs` with that of `docker logs`.

## For every command

| option | |
|---|---|
| `--image <FILE>` | {image} |
| `-h`, `--help` | Print help |

The docker CLI's own options (`--context`, `-H`, `--tls…`, `--config`, `-l`, `-D`) come before the command: `docker --context prod locket status`, `locket --context prod status`.
Without them `DOCKER_HOST`, `DOCKER_CONTEXT` and the current context count, as for docker itself.

| variable | |
|---|---|
| `LOCKET_IMAGE` | As `--image` |
| `LOCKET_SOCKET` | Where the controller's API listens, and is looked for |
| `LOCKET_LOG` | As `--log-level` of `controller run`, and stronger |
| `COMPOSE_FILE`, `COMPOSE_PROJECT_NAME` | As compose reads them, where no option says otherwise |
| `NO_COLOR`, `TERM=dumb` | No colour |
";

#[test]
fn the_reference_is_what_the_program_says() {
    let mut cli = Cli::command();
    cli.build();
    let image = cli
        .get_arguments()
        .find(|arg| arg.get_id() == "image")
        .map(help)
        .unwrap_or_default();
    let mut page = HEAD.replace("{image}", &image);
    for command in cli.get_subcommands() {
        write_command(&mut page, "docker locket", command, 2);
    }
    expect_test::expect_file!["../../../docs/reference/cli.md"].assert_eq(&page);
}

fn write_command(page: &mut String, parent: &str, command: &Command, level: usize) {
    let name = format!("{parent} {}", command.get_name());
    let hashes = "#".repeat(level);
    let about = command
        .get_about()
        .map(ToString::to_string)
        .unwrap_or_default();
    let _ = writeln!(page, "\n{hashes} {name}\n\n{about}.");
    let aliases: Vec<_> = command
        .get_visible_aliases()
        .map(|alias| format!("`{parent} {alias}`"))
        .collect();
    if !aliases.is_empty() {
        let _ = writeln!(page, "Also: {}.", aliases.join(", "));
    }
    if command.has_subcommands() {
        write_arguments(page, command);
        for below in command.get_subcommands() {
            write_command(page, &name, below, level + 1);
        }
        return;
    }
    let usage = command.clone().render_usage().to_string();
    let words = usage
        .trim_start_matches("Usage: ")
        .split_once(command.get_name())
        .map_or("", |(_, words)| words);
    let _ = writeln!(page, "\n```\n{name}{words}\n```");
    write_arguments(page, command);
}

/// All arguments but those of every command.
fn write_arguments(page: &mut String, command: &Command) {
    let all: Vec<&Arg> = command
        .get_arguments()
        .filter(|arg| {
            !arg.is_hide_set() && !matches!(arg.get_id().as_str(), "help" | "version" | "image")
        })
        .collect();
    if all.is_empty() {
        return;
    }
    page.push_str("\n| argument | |\n|---|---|\n");
    let (places, options): (Vec<&Arg>, Vec<&Arg>) =
        all.into_iter().partition(|arg| arg.is_positional());
    for arg in places.into_iter().chain(options) {
        let _ = writeln!(
            page,
            "| {} | {} |",
            names(arg),
            help(arg).replace('|', "\\|")
        );
    }
}

fn names(arg: &Arg) -> String {
    let value = || {
        let names = arg.get_value_names().unwrap_or_default();
        names
            .iter()
            .map(|name| format!("<{name}>"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    if arg.is_positional() {
        return format!("`{}`", value());
    }
    let short = arg.get_short().map(|short| format!("-{short}"));
    let long = arg.get_long().map(|long| format!("--{long}"));
    let takes = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    let all: Vec<String> = short.into_iter().chain(long).collect();
    let value = if takes {
        format!(" {}", value())
    } else {
        String::new()
    };
    format!("`{}{value}`", all.join(", "))
}

fn help(arg: &Arg) -> String {
    let mut text = arg.get_help().map(ToString::to_string).unwrap_or_default();
    if !matches!(arg.get_action(), ArgAction::Set | ArgAction::Append) {
        return text;
    }
    let words: Vec<String> = arg
        .get_possible_values()
        .iter()
        .map(|it| match it.get_help() {
            Some(help) => format!("`{}` ({help})", it.get_name()),
            None => format!("`{}`", it.get_name()),
        })
        .collect();
    if !words.is_empty() {
        let _ = write!(text, ": {}", words.join(", "));
    }
    let defaults: Vec<_> = arg
        .get_default_values()
        .iter()
        .map(|it| it.to_string_lossy())
        .collect();
    if !defaults.is_empty() {
        let _ = write!(text, "; default `{}`", defaults.join(" "));
    }
    text
}
