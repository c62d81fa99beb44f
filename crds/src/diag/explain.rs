//! What there is to say about each code: its page in the reference, and the rules of SARIF, come from here.

mod files;
mod hints;
mod names;

use super::{Code, Severity};

/// The documentation of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explanation {
    /// What it means. Markdown, whole sentences.
    pub cause: &'static str,
    /// What to do. Markdown, whole sentences.
    pub cure: &'static str,
    /// A compose file that has the problem. Several files each begin with a line `# file: NAME`.
    pub bad: &'static str,
    /// The same without it.
    pub good: &'static str,
}

impl Explanation {
    /// All of it as Markdown.
    pub fn markdown(&self) -> String {
        format!(
            "{}\n\n```yaml\n{}```\n\n{}\n\n```yaml\n{}```\n",
            self.cause, self.bad, self.cure, self.good
        )
    }
}

impl Code {
    /// What there is to say about it.
    pub fn explanation(self) -> Explanation {
        files::explanation(self)
            .or_else(|| names::explanation(self))
            .unwrap_or_else(|| hints::explanation(self))
    }
}

const HEAD: &str = "\
# Diagnostics

What [`docker locket check`](cli.md#docker-locket-check) says, code by code: what it means, an example, and what to do.
This page is written from the program's own texts.

An error keeps the gate from delivering anything. A warning is something that works, but probably not as meant.
A warning that is wrong in its place is silenced by a comment on its line, or on the line before:

```yaml
services:
  db:
    environment:
      # locket: allow L045
      TOKEN_KIND: bearer
      API_KEY: not-a-real-one # locket: allow L045, L046
```

A comment silences the warnings that it names and no error.
A value that may be a secret is shown as `***` in every format.
";

/// The reference page of all codes.
pub fn page() -> String {
    let mut out = HEAD.to_owned();
    for (kind, title) in [(Severity::Error, "Errors"), (Severity::Warning, "Warnings")] {
        out += &format!("\n## {title}\n");
        for code in Code::ALL.iter().filter(|code| code.severity() == kind) {
            out += &format!("\n### {code}\n\n{}", code.explanation().markdown());
        }
    }
    out
}
