//! One mistake at a time, put into every project of the corpus: it is found in its line, and nothing else is.

use super::*;

/// A service that is added; the line that ends with `<<` has the mistake.
const SERVICES: [(Code, &str); 48] = [
    (Code::Syntax, "image: x\nimage: y <<"),
    (
        Code::UnquotedTemplate,
        "x-locket:\n  env:\n    A: {{ local:a }} <<",
    ),
    (Code::UnknownKey, "x-locket:\n  secret: [local:a] <<"),
    (
        Code::UnknownKey,
        "x-locket:\n  secrets:\n    - { source: local:a, traget: b } <<",
    ),
    (Code::WrongType, "x-locket:\n  env: [local:a] <<"),
    (
        Code::WrongType,
        "x-locket:\n  on_change: { exec: run it } <<\n  secrets: [local:a]",
    ),
    (Code::WrongType, "x-locket: words <<"),
    (
        Code::InvalidValue,
        "x-locket:\n  on_change: restrat <<\n  secrets: [local:a]",
    ),
    (
        Code::InvalidValue,
        "x-locket:\n  on_change: { settle: 5 } <<\n  secrets: [local:a]",
    ),
    (
        Code::InvalidValue,
        "x-locket:\n  on_change: signal:KILL <<\n  secrets: [local:a]",
    ),
    (
        Code::InvalidValue,
        "x-locket:\n  on_change: { action: restart, signal: HUP } <<\n  secrets: [local:a]",
    ),
    (
        Code::InvalidValue,
        "x-locket:\n  secrets: [{ source: local:a, mode: 440 }] <<",
    ),
    (
        Code::InvalidValue,
        "x-locket:\n  path: secrets <<\n  secrets: [local:a]",
    ),
    (
        Code::MissingKey,
        "x-locket:\n  templates:\n    - content: x <<",
    ),
    (
        Code::MissingKey,
        "x-locket:\n  secrets:\n    - target: x <<",
    ),
    (Code::Reference, "x-locket:\n  - bao:kv/../x#y <<"),
    (Code::Reference, "x-locket:\n  - op://Shop <<"),
    (
        Code::Template,
        "x-locket:\n  env:\n    A: \"{{ local:a | nope }}\" <<",
    ),
    (
        Code::Template,
        "x-locket:\n  env:\n    A: \"{{ local:a\" <<",
    ),
    (Code::Literal, "x-locket:\n  env:\n    A: two words <<"),
    (
        Code::Interpolation,
        "x-locket:\n  env:\n    A: \"{{ local:a }}/${HOME}\" <<",
    ),
    (
        Code::TemplateFile,
        "x-locket:\n  templates:\n    - source: ./no-such.tpl <<",
    ),
    (Code::UnknownName, "x-locket:\n  - no_such_name_at_all <<"),
    (
        Code::UnknownName,
        "x-locket:\n  env:\n    A: \"{{ no_such_name_at_all }}\" <<",
    ),
    (Code::UnknownSource, "x-locket:\n  - nosuchsource:kv/x#y <<"),
    (
        Code::TargetConflict,
        "x-locket:\n  - { source: local:a, target: t }\n  - { source: local:b, target: t } <<",
    ),
    (
        Code::Target,
        "x-locket:\n  - { source: local:a, target: ../t } <<",
    ),
    (
        Code::Target,
        "x-locket:\n  - { source: local:a, target: /etc/t } <<",
    ),
    (Code::EnvName, "x-locket:\n  env:\n    \"A=B\": local:a <<"),
    (
        Code::Reserved,
        "x-locket:\n  env:\n    LOCKET_A: local:a <<",
    ),
    (
        Code::Totp,
        "x-locket:\n  env:\n    A: \"{{ local:a | totp }}\" <<",
    ),
    (Code::Overlap, "secrets: [x]\nx-locket: [local:a] <<"),
    (
        Code::Overlap,
        "volumes: [\"x:/run/secrets/x\"]\nx-locket: [local:a] <<",
    ),
    (Code::UnknownLabel, "labels:\n  locket.secert: a <<"),
    (Code::Reserved, "labels:\n  - locket.role=anchor <<"),
    (
        Code::LabelConflict,
        "labels:\n  locket.env.A: local:a <<\nx-locket: { env: { A: local:b } }",
    ),
    (
        Code::UnportableEnvName,
        "x-locket:\n  env:\n    A-B: local:a <<",
    ),
    (
        Code::Visible,
        "x-locket:\n  env:\n    A: { secret: local:a, via: compose } <<",
    ),
    (
        Code::VisibleHash,
        "x-locket:\n  env:\n    A: { value: \"{{ local:a | bcrypt }}\", via: compose } # locket: allow L042 <<",
    ),
    (Code::Misspelt, "x-lockett: [local:a] <<"),
    (Code::PlainSecret, "environment:\n  DB_PASSWORD: c4n4ry <<"),
    (
        Code::PlainSecret,
        "environment:\n  - \"SMTP_PASS=c4n4ry\" <<",
    ),
    (
        Code::PlainSecret,
        "environment:\n  URL: redis://:c4n4ry@cache/0 <<",
    ),
    (
        Code::PlainReference,
        "environment:\n  - STRIPE=op://Shop/Stripe/key <<",
    ),
    (
        Code::Unwrapped,
        "healthcheck:\n  test: test -n \"$${A}\" <<\nx-locket: { env: { A: local:a } }",
    ),
    (
        Code::FirstStart,
        "image: mysql:8\nenvironment:\n  MYSQL_ROOT_PASSWORD_FILE: /run/secrets/a <<\nx-locket: [local:a]",
    ),
    (
        Code::NoEffect,
        "x-locket:\n  env: { A: local:a }\n  on_change: signal:HUP <<",
    ),
    (
        Code::NoEffect,
        "container_name: one\nx-locket:\n  secrets: [local:a]\n  on_change: rollout <<",
    ),
];

/// The text with a service more, and the line of its mistake; nothing where services are written in another style.
fn with_service(text: &str, body: &str) -> Option<(String, u32)> {
    let lines: Vec<&str> = text.lines().collect();
    let at = lines.iter().position(|line| {
        let rest = line.strip_prefix("services:").map(str::trim);
        rest.is_some_and(|it| it.is_empty() || it.starts_with('#'))
    })?;
    let first = lines[at + 1..]
        .iter()
        .find(|line| !line.trim().is_empty() && !line.trim().starts_with('#'))?;
    let indent = &first[..first.len() - first.trim_start().len()];
    let mut out: Vec<String> = lines[..=at].iter().map(|it| (*it).to_owned()).collect();
    out.push(format!("{indent}zz-mutant:"));
    let mut found = 0;
    for line in body.lines() {
        if line.ends_with(" <<") {
            found = out.len() as u32 + 1;
        }
        out.push(format!("{indent}  {}", line.trim_end_matches(" <<")));
    }
    out.extend(lines[at + 1..].iter().map(|it| (*it).to_owned()));
    Some((out.join("\n") + "\n", found))
}

type Edit = fn(&str) -> Option<String>;

fn first_quoted_template(line: &str) -> Option<String> {
    let (before, rest) = line.split_once(": \"{{")?;
    let (inner, after) = rest.split_once("}}\"")?;
    (after.is_empty() && !inner.contains(['"', '}'])).then(|| format!("{before}: {{{{{inner}}}}}"))
}

fn mistyped_name(line: &str) -> Option<String> {
    let (before, rest) = line.split_once("x-locket: [")?;
    let name = rest.split([',', ']']).next()?;
    let plain = name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    (plain && before.starts_with(' ') && name.len() > 3)
        .then(|| line.replacen(name, &format!("{}qx", &name[..name.len() - 1]), 1))
}

/// Lines that are changed: the first one that can be.
const LINES: [(Code, Edit); 6] = [
    (Code::UnquotedTemplate, first_quoted_template),
    (Code::UnknownName, mistyped_name),
    (Code::UnknownSource, |line| {
        let own = !line.trim_start().starts_with('#') && !line.contains("locket.");
        (own && line.contains("local:")).then(|| line.replacen("local:", "locl:", 1))
    }),
    (Code::InvalidValue, |line| {
        line.contains("on_change: restart")
            .then(|| line.replace("on_change: restart", "on_change: restrat"))
    }),
    (Code::Misspelt, |line| {
        let own = line.starts_with(' ') && line.trim_start().starts_with("x-locket:");
        own.then(|| line.replace("x-locket:", "x-loket:"))
    }),
    (Code::InvalidValue, |line| {
        line.contains("settle: 5s")
            .then(|| line.replace("settle: 5s", "settle: soon"))
    }),
];

/// What is said of a project with one file changed, without what `generate` has not seen yet.
fn said(files: &[(String, String)], dir: &Path, changed: usize, text: String) -> Vec<Diagnostic> {
    let path = dir.join(&files[changed].0);
    std::fs::write(&path, text).unwrap();
    let found = examined(dir);
    std::fs::write(&path, &files[changed].1).unwrap();
    let shown = super::text(&found) + &rendered_all(&found);
    assert!(!shown.contains("c4n4ry"), "{shown}");
    let mut all = found.problems;
    all.retain(|it| !LACKS.contains(&it.code));
    all
}

fn rendered_all(found: &Found) -> String {
    let sources = &found.loaded.sources;
    render_json(&found.problems, sources)
        + &render_sarif(&found.problems, sources, "0")
        + &render_github(&found.problems)
}

#[test]
fn every_mistake_is_found_in_its_line_and_nothing_else_is() {
    let mut counts = [0; SERVICES.len()];
    for (name, files) in projects::all() {
        let dir = complete(&files);
        let Some(main) = files
            .iter()
            .position(|it| with_service(&it.1, "").is_some())
        else {
            continue;
        };
        for (nth, (code, body)) in SERVICES.iter().enumerate() {
            let (text, line) = with_service(&files[main].1, body).unwrap();
            let all = said(&files, dir.path(), main, text);
            let found: Vec<_> = all
                .iter()
                .map(|it| (it.code, it.place.origin.line))
                .collect();
            // A catalogue that is not read cannot be used.
            assert_eq!(found, [(*code, line)], "{name}: {body}\n{all:#?}");
            assert_eq!(all[0].place.origin.file, files[main].0);
            counts[nth] += 1;
        }
    }
    assert!(counts.iter().all(|n| *n >= 28), "{counts:?}");
}

#[test]
fn a_line_that_is_changed_is_found() {
    let mut counts = [0; LINES.len()];
    for (name, files) in projects::all() {
        let dir = complete(&files);
        for (nth, (code, edit)) in LINES.iter().enumerate() {
            for (at, (file, text)) in files.iter().enumerate() {
                let lines: Vec<&str> = text.lines().collect();
                let Some((line, new)) = lines
                    .iter()
                    .enumerate()
                    .find_map(|(n, l)| Some((n, edit(l)?)))
                else {
                    continue;
                };
                let mut all: Vec<String> = lines.iter().map(|it| (*it).to_owned()).collect();
                all[line] = new;
                let found = said(&files, dir.path(), at, all.join("\n") + "\n");
                // Who does not ask for a secret any more does not use it.
                let found: BTreeSet<_> = found
                    .iter()
                    .filter(|it| it.code != Code::UnusedSecret)
                    .map(|it| (it.code, it.place.origin.file.clone(), it.place.origin.line))
                    .collect();
                let expected = BTreeSet::from([(*code, file.clone(), line as u32 + 1)]);
                assert_eq!(found, expected, "{name}: {}", all[line]);
                counts[nth] += 1;
            }
        }
    }
    assert!(counts.iter().all(|n| *n >= 1), "{counts:?}");
}

/// What only `generate` can mend: each project as it is before its first run.
#[test]
fn a_generated_file_without_its_content_is_told_for_every_service() {
    let mut told = 0;
    for (name, files) in projects::all() {
        let dir = complete(&files);
        let place = dir.path().join(generated(&files));
        let full = std::fs::read_to_string(&place).unwrap();
        std::fs::write(&place, format!("{GENERATED}\nservices: {{}}\n")).unwrap();
        let found = examined(dir.path());
        std::fs::write(&place, &full).unwrap();
        let services = found.loaded.spec.as_ref().map_or(0, |it| it.services.len());
        if services == 0 || full.trim_end().ends_with("services: {}") {
            continue;
        }
        let lacks = found.problems.iter().filter(|it| LACKS.contains(&it.code));
        assert!(lacks.clone().count() > 0, "{name}: {}", text(&found));
        assert!(
            found.problems.iter().all(|it| LACKS.contains(&it.code)),
            "{name}: {}",
            text(&found)
        );
        told += 1;
    }
    assert!(told >= 20, "{told}");
}
