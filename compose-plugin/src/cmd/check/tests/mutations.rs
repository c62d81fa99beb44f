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

/// What an added line ends with where the mistake is in it.
const MARK: &str = " <<";

/// What brings a mistake into several services.
const MERGE: &str = "<<: *zz-mutant";

/// The text without the mark, and its line; 0 where there is none.
fn unmarked(text: &str) -> (String, u32) {
    let marked = text.lines().position(|line| line.ends_with(MARK));
    let line = marked.map_or(0, |it| it as u32 + 1);
    (text.replace(&format!("{MARK}\n"), "\n"), line)
}

/// The text with a service more; nothing where services are written in another style.
fn with_service(text: &str, name: &str, body: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let at = lines.iter().position(|line| is_block(line, "services"))?;
    let indent = indent_after(&lines, at)?;
    let mut out: Vec<String> = lines[..=at].iter().map(|it| (*it).to_owned()).collect();
    out.push(format!("{indent}{name}:"));
    out.extend(body.lines().map(|it| format!("{indent}  {it}")));
    out.extend(lines[at + 1..].iter().map(|it| (*it).to_owned()));
    Some(out.join("\n") + "\n")
}

/// Whether a line is this key of a mapping in block style.
fn is_block(line: &str, key: &str) -> bool {
    let rest = line.trim_start().strip_prefix(key);
    let rest = rest.and_then(|it| it.strip_prefix(':')).map(str::trim);
    rest.is_some_and(|it| it.is_empty() || it.starts_with('#'))
}

/// The indent of the first line with content after this one.
fn indent_after<'a>(lines: &[&'a str], at: usize) -> Option<&'a str> {
    let content = |line: &&&str| !line.trim().is_empty() && !line.trim().starts_with('#');
    let first = lines[at + 1..].iter().find(content)?;
    Some(&first[..first.len() - first.trim_start().len()])
}

/// The text with an entry more in a section of the `x-locket` at the top, in the style that is there. A mark goes to the line's end.
fn with_entry(text: &str, section: &str, entry: &str) -> Option<String> {
    let (entry, mark) = match entry.strip_suffix(MARK) {
        Some(entry) => (entry, MARK),
        None => (entry, ""),
    };
    let read: Vec<&str> = text.lines().collect();
    let mut lines: Vec<String> = read.iter().map(|it| (*it).to_owned()).collect();
    let services = read.iter().position(|it| is_block(it, "services"))?;
    let Some(top) = read.iter().position(|it| it.starts_with("x-locket:")) else {
        lines.insert(
            services,
            format!("x-locket:\n  {section}:\n    {entry}{mark}"),
        );
        return Some(lines.join("\n") + "\n");
    };
    if !is_block(read[top], "x-locket") {
        let has = format!("{section}: {{ ");
        lines[top] = match read[top].split_once(&has) {
            Some((before, after)) => format!("{before}{has}{entry}, {after}{mark}"),
            None => in_flow(read[top], &format!("{section}: {{ {entry} }}"))? + mark,
        };
        return Some(lines.join("\n") + "\n");
    }
    let indent = indent_after(&read, top)?;
    let below = read.iter().enumerate().skip(top + 1);
    let is_ours = |it: &(usize, &&str)| !it.1.starts_with(|c: char| c.is_alphabetic());
    let own = format!("{indent}{section}:");
    let found = below.take_while(is_ours).find(|it| it.1.starts_with(&own));
    match found.map(|it| it.0) {
        None => lines.insert(top + 1, format!("{own}\n{indent}  {entry}{mark}")),
        Some(at) if is_block(read[at], section) => {
            let inner = indent_after(&read, at)?;
            lines.insert(at + 1, format!("{inner}{entry}{mark}"));
        }
        Some(at) => lines[at] = in_flow(read[at], entry)? + mark,
    }
    Some(lines.join("\n") + "\n")
}

/// `{ a, b }` with one more in front.
fn in_flow(line: &str, entry: &str) -> Option<String> {
    let (before, after) = line.split_once("{ ")?;
    Some(format!("{before}{{ {entry}, {after}"))
}

/// An entry at the top and a service, one of them with the mistake: what the catalogue and the sources can have.
const ENTRIES: [(Code, &str, &str, &str); 8] = [
    (
        Code::WrittenCredential,
        "sources",
        "zz: { type: openbao, url: \"https://bao:8200\", auth: { token: c4n4ry } } <<",
        "image: x",
    ),
    (
        Code::Url,
        "sources",
        "zz: { type: openbao, url: \"https://me:c4n4ry@bao:8200\" } <<",
        "image: x",
    ),
    (
        Code::InvalidValue,
        "sources",
        "zz: { type: opnbao, url: \"https://bao:8200\" } <<",
        "image: x",
    ),
    (
        Code::UnknownService,
        "services",
        "zz-no-such: [\"local:a\"] <<",
        "image: x",
    ),
    (
        Code::UnusedSecret,
        "secrets",
        "zz: \"local:zz\" <<",
        "image: x",
    ),
    (
        Code::UnknownSource,
        "secrets",
        "zz: \"nosuchsource:zz\" <<",
        "x-locket: [zz]",
    ),
    (
        Code::UnknownKey,
        "secrets",
        "zz: { ref: \"local:zz\", refresch: 5s } <<",
        "x-locket: [zz]",
    ),
    (
        Code::ManyFields,
        "secrets",
        "zz: { ref: \"bao:kv/tls\", fields: { tls.key: key } }",
        "x-locket:\n  env: { KEY: zz } <<",
    ),
];

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

/// Puts each mistake into the main file of each project, and wants it found in its line and nothing else. What a mistake makes of a
/// text: the text with the mark.
fn each_is_found<M>(
    all: &[M],
    code: impl Fn(&M) -> Code,
    put: impl Fn(&M, &str) -> Option<String>,
) {
    let mut projects_with = 0;
    for (name, files) in projects::all() {
        let dir = complete(&files);
        let fits = |it: &(String, String)| with_service(&it.1, "zz", "").is_some();
        let Some(main) = files.iter().position(fits) else {
            continue;
        };
        for it in all {
            let marked = put(it, &files[main].1).unwrap_or_else(|| panic!("{name}: {}", code(it)));
            let (text, line) = unmarked(&marked);
            let all = said(&files, dir.path(), main, text);
            let mut found: Vec<_> = all
                .iter()
                .map(|it| (it.code, it.place.origin.file.as_str(), it.place.origin.line))
                .collect();
            // What is said of a service is said of each that merges it.
            if marked.contains(MERGE) {
                found.dedup();
            }
            assert_eq!(
                found,
                [(code(it), files[main].0.as_str(), line)],
                "{name}:\n{marked}\n{all:#?}"
            );
        }
        projects_with += 1;
    }
    // One is JSON.
    assert!(projects_with >= 31, "{projects_with}");
}

#[test]
fn every_mistake_is_found_in_its_line_and_nothing_else_is() {
    each_is_found(
        &SERVICES,
        |it| it.0,
        |it, text| with_service(text, "zz-mutant", it.1),
    );
}

#[test]
fn a_mistake_in_the_catalogue_or_a_source_is_found_in_its_line() {
    each_is_found(
        &ENTRIES,
        |it| it.0,
        |it, text| {
            let text = with_service(text, "zz-mutant", it.3)?;
            with_entry(&text, it.1, it.2)
        },
    );
}

/// Two services merge what has the mistake: it is told where it was written.
#[test]
fn a_mistake_that_a_merge_brings_is_found_where_it_is_written() {
    let merges: Vec<_> = SERVICES.iter().filter(|it| it.0 != Code::Syntax).collect();
    each_is_found(
        &merges,
        |it| it.0,
        |it, text| {
            let text = with_service(text, "zz-second", MERGE)?;
            let text = with_service(&text, "zz-mutant", MERGE)?;
            let body: Vec<String> = it.1.lines().map(|line| format!("  {line}")).collect();
            let mut lines: Vec<&str> = text.lines().collect();
            let at = lines.iter().position(|it| is_block(it, "services"))?;
            let anchor = format!("x-zz-mutant: &zz-mutant\n{}", body.join("\n"));
            lines.insert(at, &anchor);
            Some(lines.join("\n") + "\n")
        },
    );
}

/// One variable for all of compose, with two values.
#[test]
fn two_services_that_hand_compose_different_values_are_found() {
    each_is_found(
        &[Code::EnvConflict],
        |it| *it,
        |_, text| {
            let given = |name: &str, mark: &str| {
                format!(
                    "x-locket: {{ env: {{ ZZ: {{ secret: \"local:{name}\", via: compose }} }} }} # locket: allow L042{mark}"
                )
            };
            let text = with_service(text, "zz-second", &given("b", MARK))?;
            with_service(&text, "zz-first", &given("a", ""))
        },
    );
}

/// Compose drops the `x-locket` at the top of a file that is included.
#[test]
fn what_an_include_drops_is_found_in_the_included_file() {
    let mut counted = 0;
    for (name, mut files) in projects::all() {
        let fits = |it: &(String, String)| with_service(&it.1, "zz", "").is_some();
        let Some(main) = files.iter().position(fits) else {
            continue;
        };
        let own = |it: &(String, String)| it.1.lines().any(|line| line.starts_with("include:"));
        if files.iter().any(own) {
            continue;
        }
        let included =
            "services:\n  zz-mutant: { image: x }\nx-locket: { secrets: { zz: \"local:zz\" } }\n";
        files.push(("zz.yaml".to_owned(), included.to_owned()));
        let dir = complete(&files);
        let text = format!("include: [zz.yaml]\n{}", files[main].1);
        let all = said(&files, dir.path(), main, text);
        let found: Vec<_> = all
            .iter()
            .map(|it| (it.code, it.place.origin.to_string()))
            .collect();
        assert_eq!(
            found,
            [(Code::Dropped, "zz.yaml:3:28".to_owned())],
            "{name}: {all:#?}"
        );
        counted += 1;
    }
    assert!(counted >= 25, "{counted}");
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
