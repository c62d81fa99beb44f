//! `locket.yaml`: what a host allows, and how it logs in.
//!
//! ```yaml
//! sources:                                    # as in x-locket.sources; projects name them
//!   bao: { type: openbao, url: "https://bao.internal:8200", auth: { token: { file: /etc/locket/token } } }
//!   env: env                                  # without this, nobody reads the controller's environment
//! defaults: { on_change: auto, settle: 2s, restart_every: 1m, refresh: 1m, backend_timeout: 10s, gate_timeout: 60s, quiet: 5s }
//! limits: { value: 1MiB }
//! listen: { address: "127.0.0.1:9480", metrics: true, hooks: { bao: { secret: { file: /etc/locket/hook } } } }
//! grants:                                     # what the controller reads for whom
//!   - project: shop                           # or "*"
//!     references: ["bao:kv/shop/", "local:/smtp", "env:SHOP_*"]
//!   - project: shop
//!     sources: [op, { type: openbao, url: "https://other:8200", auth: { token: { file: /etc/locket/other } } }]
//! ```

mod grant;
mod listen;
mod meaning;
mod signature;

use std::collections::BTreeMap;
use std::time::Duration;

pub use grant::{Allowed, Grant, MissingGrant, Pattern};
pub use listen::{Hook, Listen, Metrics, Tls};
pub(crate) use meaning::is_redefined;
pub use meaning::{BUILT_IN, Contradiction, DefinedBy, Meaning};
pub(crate) use signature::SCHEMES;
pub use signature::{Encoding, Piece, Signature, Timestamp};

use crate::compose::{defaults, source, source_name};
use crate::diag::{Code, Diagnostic, Lines, Place};
use crate::id::{ProjectName, SourceName};
use crate::read::{Cursor, File, Reading};
use crate::reference::SecretRef;
use crate::spec::{Defaults, Origin, SourceSpec};
use crate::yaml::{self, Value};

/// Host configuration. The default is what holds without a file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HostConfig {
    /// Sources that projects may name.
    pub sources: BTreeMap<SourceName, SourceSpec>,
    /// For projects that do not say; see [`HostConfig::complete`].
    pub defaults: Defaults,
    /// How long locket itself waits.
    pub timeouts: Timeouts,
    /// How much is kept.
    pub limits: Limits,
    /// What the controller may read for whom.
    pub grants: Vec<Grant>,
    /// Where the controller takes hints and shows metrics; `None`: nowhere.
    pub listen: Option<Listen>,
}

/// How long locket itself waits; `backend_timeout`, `gate_timeout` and `quiet` of `defaults`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// One call of a backend; default 10 s.
    pub backend: Duration,
    /// The gate; default 60 s.
    pub gate: Duration,
    /// How long compose must have left a project alone before anything of it is disrupted; default 5 s.
    pub quiet: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let [backend, gate, quiet] = [10, 60, 5].map(Duration::from_secs);
        Self {
            backend,
            gate,
            quiet,
        }
    }
}

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one value; default 1 MiB.
    pub value: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { value: 1 << 20 }
    }
}

const KEYS: [&str; 5] = ["defaults", "grants", "limits", "listen", "sources"];
const TIMEOUT_KEYS: [&str; 3] = ["backend_timeout", "gate_timeout", "quiet"];

impl HostConfig {
    /// Reads a file. `file` is its name, for messages.
    ///
    /// # Errors
    /// Every problem, in the order of the file.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Diagnostic>> {
        let lines = Lines::new(text);
        let document = yaml::document(text).map_err(|e| {
            vec![Diagnostic::new(
                Code::Syntax,
                lines.place(file, &e.at),
                e.message,
            )]
        })?;
        let files = [File {
            name: file,
            text,
            lines,
            documents: std::slice::from_ref(&document),
        }];
        let reading = Reading::plain(&files);
        let nowhere = Place::from(Origin {
            file: file.to_owned(),
            ..Origin::default()
        });
        let out = Self::read(&Cursor::new(
            &reading,
            &document,
            reading.written(),
            nowhere,
        ));
        let mut problems = reading.problems();
        problems.sort_by(|a, b| a.place.origin.cmp(&b.place.origin));
        if problems.is_empty() {
            Ok(out)
        } else {
            Err(problems)
        }
    }

    fn read(root: &Cursor<'_>) -> Self {
        root.known(&KEYS);
        let mut out = Self::default();
        for (name, it) in root.get("sources").iter().flat_map(Cursor::entries) {
            out.sources
                .extend(source_name(&it, name).zip(source(&it, None)));
        }
        if let Some(it) = root.get("defaults") {
            out.defaults = defaults(&it, &TIMEOUT_KEYS);
            let or = |key: &str, usual| it.get(key).and_then(|d| d.duration()).unwrap_or(usual);
            let usual = Timeouts::default();
            out.timeouts = Timeouts {
                backend: or("backend_timeout", usual.backend),
                gate: or("gate_timeout", usual.gate),
                quiet: or("quiet", usual.quiet),
            };
        }
        if let Some(it) = root.get("limits") {
            it.known(&["value"]);
            let or = |key: &str, usual| it.get(key).and_then(|n| size(&n)).unwrap_or(usual);
            let usual = Limits::default();
            out.limits = Limits {
                value: or("value", usual.value),
            };
        }
        out.grants = root
            .get("grants")
            .iter()
            .flat_map(Cursor::items)
            .filter_map(|it| grant::read(&it))
            .collect();
        out.listen = root.get("listen").and_then(|it| listen::read(&it));
        out
    }

    /// What holds for a project: its own defaults, then the host's, then the built-in ones.
    pub fn complete(&self, project: &Defaults) -> Defaults {
        Defaults {
            on_change: project
                .on_change
                .clone()
                .or_else(|| self.defaults.on_change.clone()),
            settle: project
                .settle
                .or(self.defaults.settle)
                .or(Some(Duration::from_secs(2))),
            restart_every: project
                .restart_every
                .or(self.defaults.restart_every)
                .or(Some(Duration::from_secs(60))),
            refresh: project
                .refresh
                .or(self.defaults.refresh)
                .or(Some(Duration::from_secs(60))),
        }
    }

    /// Whether the controller may read a secret for a project, from the source that will really be opened for it
    /// ([`HostConfig::meaning`]).
    ///
    /// A project's names in the built-in store are always its own to read.
    ///
    /// # Errors
    /// What is missing, with the lines that would grant it.
    pub fn granted(
        &self,
        project: &ProjectName,
        reference: &SecretRef,
        meaning: &Meaning,
    ) -> Result<(), Box<MissingGrant>> {
        if meaning.is_own(reference) {
            return Ok(());
        }
        // The environment of the controller is closed until somebody opens it.
        let opens = |s: &SourceSpec| s.kind == "env";
        let closed = opens(&meaning.source)
            && match meaning.by {
                DefinedBy::Host => false,
                DefinedBy::Scheme => true,
                DefinedBy::Project => !self.sources.values().any(opens),
            };
        let allowed = self
            .grants
            .iter()
            .any(|g| g.covers(project, reference, meaning));
        if allowed && !closed {
            return Ok(());
        }
        let own = (meaning.by == DefinedBy::Project).then(|| Box::new(meaning.source.clone()));
        Err(Box::new(MissingGrant {
            project: project.clone(),
            reference: reference.clone(),
            own,
            closed,
            allowed,
        }))
    }
}

/// A number of bytes: `1000`, `64KiB`, `16MiB`.
fn size(at: &Cursor<'_>) -> Option<u64> {
    let found = match &at.node.value {
        Value::Int(n) => u64::try_from(*n).ok(),
        Value::Str(text) => [("KiB", 10), ("MiB", 20)].iter().find_map(|(unit, shift)| {
            text.strip_suffix(unit)?
                .trim()
                .parse::<u64>()
                .ok()?
                .checked_mul(1 << shift)
        }),
        _ => None,
    };
    if found.is_none() {
        at.say(
            at.problem(Code::InvalidValue, format!("{} is not a size", at.shown()))
                .help("write a number, or one with `KiB` or `MiB`"),
        );
    }
    found
}

#[cfg(test)]
mod tests;
