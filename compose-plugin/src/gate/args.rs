//! How compose calls a provider: `compose --project-name=P up --key=value … SERVICE`, flags in any order.

use std::time::Duration;

use locket_crds::time::parse_duration;

use crate::compose::ComposeFlags;

/// What compose wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// To know our options.
    Metadata,
    /// The service is to be there.
    Up,
    /// The service is to go.
    Down,
    /// The service is to pause; from Compose 5.2 on, if we ask for it.
    Stop,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    /// What for.
    pub command: Command,
    /// The project.
    pub project: String,
    /// The service that is the gate.
    pub service: String,
    /// `provider.options`.
    pub options: Options,
}

/// `provider.options` in the compose file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Which compose files and which project directory are meant.
    pub compose: ComposeFlags,
    /// How long the gate waits.
    pub timeout: Option<Duration>,
}

/// Name, description. Compose drops what is not listed, without a word.
const OPTIONS: [(&str, &str); 5] = [
    (
        "file",
        "Compose file, where it cannot be found otherwise; a list for several",
    ),
    (
        "project-directory",
        "Where relative paths in the compose files begin",
    ),
    (
        "env-file",
        "File with variables instead of .env; a list for several",
    ),
    ("profile", "Profile to enable; a list for several"),
    (
        "timeout",
        "How long `up` waits for the secrets, such as 60s",
    ),
];

impl Args {
    /// Reads a call. Of the words that are no flags the first is the command, the next the service.
    ///
    /// # Errors
    /// One clause.
    pub fn parse(words: &[String]) -> Result<Self, String> {
        let mut plain = Vec::new();
        let mut project = String::new();
        let mut options = Options::default();
        let mut rest = words.iter().skip(1);
        while let Some(word) = rest.next() {
            let Some(flag) = word.strip_prefix("--") else {
                plain.push(word.as_str());
                continue;
            };
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, value.to_owned()),
                // Compose writes `--project-name=P`; the documentation of the protocol has a space.
                None if flag == "project-name" => (flag, rest.next().cloned().unwrap_or_default()),
                None => (flag, String::new()),
            };
            match name {
                "project-name" => project = value,
                "file" => options.compose.file.push(value),
                "project-directory" => options.compose.project_directory = Some(value),
                "env-file" => options.compose.env_file.push(value),
                "profile" => options.compose.profile.push(value),
                "timeout" => {
                    let found = parse_duration(&value).ok_or_else(|| {
                        format!("the gate's option timeout is no duration: {value:?}")
                    })?;
                    options.timeout = Some(found);
                }
                // A newer compose may tell more.
                _ => {}
            }
        }
        let command = match plain.first() {
            Some(&"metadata") => Command::Metadata,
            Some(&"up") => Command::Up,
            Some(&"down") => Command::Down,
            Some(&"stop") => Command::Stop,
            Some(other) => {
                return Err(format!(
                    "compose asks for {other:?}, which this version of locket does not know"
                ));
            }
            None => return Err("compose asks for nothing".to_owned()),
        };
        if project.is_empty() && matches!(command, Command::Up | Command::Down) {
            return Err("compose names no project".to_owned());
        }
        let service = plain.get(1).copied().unwrap_or_default().to_owned();
        Ok(Self {
            command,
            project,
            service,
            options,
        })
    }
}

/// The answer to `metadata`. There is no block for `stop`: there is nothing that we would do.
pub fn metadata() -> String {
    let one = |(name, description): &(&str, &str)| serde_json::json!({ "name": name, "description": description, "required": false, "type": "string", "default": "" });
    let parameters: Vec<_> = OPTIONS.iter().map(one).collect();
    serde_json::json!({
        "description": "Delivers secrets before services start",
        "up": { "parameters": parameters },
        "down": { "parameters": parameters },
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, String> {
        Args::parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn flags_stand_in_any_order() {
        let expected = Args {
            command: Command::Up,
            project: "shop".into(),
            service: "locket".into(),
            options: Options {
                compose: ComposeFlags {
                    file: vec!["a.yaml".into(), "b=c.yaml".into()],
                    profile: vec!["x".into()],
                    ..ComposeFlags::default()
                },
                timeout: Some(Duration::from_secs(90)),
            },
        };
        for line in [
            "compose --project-name=shop up --file=a.yaml --file=b=c.yaml --profile=x --timeout=1m30s locket",
            "compose --timeout=1m30s up locket --file=a.yaml --project-name=shop --file=b=c.yaml --profile=x",
            "compose up --project-name shop --profile=x --new=thing --file=a.yaml --file=b=c.yaml locket --timeout=1m30s",
        ] {
            assert_eq!(parse(line), Ok(expected.clone()), "{line}");
        }
    }

    #[test]
    fn a_gate_may_be_named_like_a_command() {
        let it = parse("compose --project-name=p up down").unwrap();
        assert_eq!((it.command, it.service.as_str()), (Command::Up, "down"));
        assert_eq!(
            parse("compose metadata").unwrap().command,
            Command::Metadata
        );
        assert_eq!(
            parse("compose --project-name=p stop locket")
                .unwrap()
                .command,
            Command::Stop
        );
    }

    #[test]
    fn what_makes_no_sense_is_one_clause() {
        for (line, expected) in [
            ("compose", "compose asks for nothing"),
            ("compose up locket", "compose names no project"),
            (
                "compose --project-name=p pull locket",
                "compose asks for \"pull\", which this version of locket does not know",
            ),
            (
                "compose --project-name=p up --timeout=soon locket",
                "the gate's option timeout is no duration: \"soon\"",
            ),
        ] {
            assert_eq!(parse(line).unwrap_err(), expected);
        }
    }

    #[test]
    fn every_option_is_told_and_read() {
        let it: serde_json::Value = serde_json::from_str(&metadata()).unwrap();
        for (name, _) in OPTIONS {
            let told = it["up"]["parameters"]
                .as_array()
                .unwrap()
                .iter()
                .any(|p| p["name"] == name);
            assert!(told, "{name}");
            let args = parse(&format!("compose --project-name=p up --{name}=5s locket")).unwrap();
            assert_ne!(args.options, Options::default(), "{name}");
        }
    }
}
