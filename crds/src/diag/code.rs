//! The kinds of problems, with names that stay.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Severity;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal $slug:literal $severity:ident,)*) => {
        /// A kind of problem. Its number and its name never change, and are never used again for something else.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Code {
            $($(#[$doc])* #[serde(rename = $slug)] $name,)*
        }

        impl Code {
            /// All codes, in the order of their numbers.
            pub const ALL: &[Code] = &[$(Code::$name,)*];

            /// `L012`.
            pub fn number(self) -> &'static str {
                match self {
                    $(Code::$name => $number,)*
                }
            }

            /// The code with this number.
            pub fn of_number(number: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|it| it.number() == number)
            }

            /// `unknown-name`.
            pub fn slug(self) -> &'static str {
                match self {
                    $(Code::$name => $slug,)*
                }
            }

            /// How bad it is.
            pub fn severity(self) -> Severity {
                match self {
                    $(Code::$name => Severity::$severity,)*
                }
            }
        }
    };
}

codes! {
    /// The text is not YAML, or the model cannot be read.
    Syntax = "L001" "syntax" Error,
    /// An unquoted `{{ … }}` is a YAML mapping.
    UnquotedTemplate = "L002" "unquoted-template" Error,
    /// A key that does not exist.
    UnknownKey = "L003" "unknown-key" Error,
    /// A list where a mapping is wanted, and the like.
    WrongType = "L004" "wrong-type" Error,
    /// The right type, but not a value that makes sense.
    InvalidValue = "L005" "invalid-value" Error,
    /// A key that must be there.
    MissingKey = "L006" "missing-key" Error,
    /// Compose itself refuses the project.
    Refused = "L007" "refused" Error,
    /// A broken reference.
    Reference = "L010" "reference" Error,
    /// A broken template.
    Template = "L011" "template" Error,
    /// Neither a name nor a reference nor a template.
    Literal = "L012" "literal" Error,
    /// `${…}` where compose's variables must not go.
    Interpolation = "L013" "interpolation" Error,
    /// A credential that is written down.
    WrittenCredential = "L014" "written-credential" Error,
    /// A URL with user, password or query.
    Url = "L015" "url" Error,
    /// A template file that cannot be read.
    TemplateFile = "L016" "template-file" Error,
    /// A name that is not in the catalogue.
    UnknownName = "L020" "unknown-name" Error,
    /// A source that is not there.
    UnknownSource = "L021" "unknown-source" Error,
    /// A service that is not in the model.
    UnknownService = "L022" "unknown-service" Error,
    /// Two files in one place.
    TargetConflict = "L023" "target-conflict" Error,
    /// A target that no file can have.
    Target = "L024" "target" Error,
    /// A name that no environment variable can have.
    EnvName = "L025" "env-name" Error,
    /// A name that is locket's own.
    Reserved = "L026" "reserved" Error,
    /// A directory of files where one value is wanted.
    ManyFields = "L027" "many-fields" Error,
    /// `totp` in a service.
    Totp = "L028" "totp" Error,
    /// The volume's place is taken by something of compose's own.
    Overlap = "L029" "overlap" Error,
    /// A label that does not exist.
    UnknownLabel = "L030" "unknown-label" Error,
    /// A label and `x-locket` say different things.
    LabelConflict = "L031" "label-conflict" Warning,
    /// Two services hand compose one variable with different values.
    EnvConflict = "L032" "env-conflict" Error,
    /// A password hash that compose is handed: its salt cannot be kept from who can see it.
    VisibleHash = "L033" "visible-hash" Error,
    /// A name that some shells cannot use.
    UnportableEnvName = "L040" "unportable-env-name" Warning,
    /// A catalogue entry that nobody uses.
    UnusedSecret = "L041" "unused-secret" Warning,
    /// A value that others can see.
    Visible = "L042" "visible" Warning,
    /// Something that compose leaves out.
    Dropped = "L043" "dropped" Warning,
    /// A key that is nearly `x-locket`; compose takes any `x-…`.
    Misspelt = "L044" "misspelt" Warning,
    /// A value in `environment:` that looks like a secret.
    PlainSecret = "L045" "plain-secret" Warning,
    /// A reference in `environment:`, which the program would start with as it stands there.
    PlainReference = "L046" "plain-reference" Warning,
    /// A command that runs outside of the shim, and uses a variable that only the shim sets.
    Unwrapped = "L047" "unwrapped" Warning,
    /// A value that the image reads at its first start only, and a restart for its changes.
    FirstStart = "L048" "first-start" Warning,
    /// An `on_change` that cannot do for this service what it is there for.
    NoEffect = "L049" "no-effect" Warning,
    /// No service is the gate.
    NoGate = "L050" "no-gate" Error,
    /// What a service needs for its secrets to arrive is missing, or not as it must be.
    Incomplete = "L051" "incomplete" Error,
    /// A service that does not wait for the gate.
    NotOrdered = "L052" "not-ordered" Error,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number(), self.slug())
    }
}
