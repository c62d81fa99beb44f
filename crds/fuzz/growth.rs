//! Families of inputs that a careless reader takes the square of their size for, just below the limits.

use locket_fuzz::growth::linear;

use crate::compose::{ModelInput, compile};
use crate::config::HostConfig;
use crate::diag::Lines;
use crate::labels;
use crate::template::{MAX_EXPRESSION, MAX_EXPRESSIONS, Template};
use crate::text;
use crate::yaml::documents;

/// A name, the largest size, and who makes an input of a size.
type Family<F> = (&'static str, usize, F);
type Text = fn(usize) -> String;
type Making<'a, T> = &'a dyn Fn(usize) -> T;
type Pairs = Vec<(String, String)>;

#[test]
fn templates() {
    let all: [Family<Text>; 7] = [
        ("braces", 1 << 19, |n| "{".repeat(n)),
        ("closing braces", 1 << 19, |n| "}".repeat(n)),
        ("expressions", MAX_EXPRESSIONS, |n| {
            "{{ db | base64 }}".repeat(n)
        }),
        ("wrong expressions", 1 << 16, |n| "{{ ? }}".repeat(n)),
        ("escapes", MAX_EXPRESSION - 32, |n| {
            format!("{{{{ db | default(\"{}\") }}}}", "\\n".repeat(n / 2))
        }),
        ("filters", MAX_EXPRESSION - 32, |n| {
            format!("{{{{ db{} }}}}", "|hex".repeat(n / 4))
        }),
        ("a long text", 1 << 20, |n| "x\n".repeat(n / 2)),
    ];
    for (what, size, make) in all {
        linear(what, size, make, |text| drop(Template::parse(text)));
    }
}

#[test]
fn yaml() {
    let all: [Family<Text>; 10] = [
        ("keys", 40_000, |n| {
            (0..n).map(|i| format!("k{i}: v\n")).collect()
        }),
        ("a long key", 1 << 18, |n| {
            format!("? {}\n: v\n", "k".repeat(n))
        }),
        ("a long text", 1 << 20, |n| {
            format!("a: \"{}\"\n", "x".repeat(n))
        }),
        ("escapes", 1 << 18, |n| {
            format!("a: \"{}\"\n", "\\n".repeat(n))
        }),
        ("anchors and aliases", 9_000, |n| {
            (0..n)
                .map(|i| format!("k{i}: &a{i} v\nl{i}: *a{i}\n"))
                .collect()
        }),
        ("one anchor", 9_000, |n| {
            format!("a: &a {{ x: y }}\nb: [{}]\n", "*a, ".repeat(n))
        }),
        ("merges", 2_000, |n| {
            format!(
                "a: &a {{ x: y }}\n{}",
                (0..n)
                    .map(|i| format!("k{i}: {{ <<: *a }}\n"))
                    .collect::<String>()
            )
        }),
        ("lists", 60_000, |n| "- a\n".repeat(n)),
        ("comments", 1 << 17, |n| "# a\n".repeat(n)),
        ("an error at the end", 60_000, |n| {
            format!("{}- [", "- a\n".repeat(n))
        }),
    ];
    for (what, size, make) in all {
        // A refusal takes no time, and proves nothing.
        let is_error = what == "an error at the end";
        assert_eq!(documents(&make(size)).is_err(), is_error, "{what}");
        linear(what, size, make, |text| drop(documents(text)));
    }
}

#[test]
fn compose() {
    let services = |n: usize, it: &dyn Fn(usize) -> String| {
        format!(
            "name: shop\nx-locket: {{ secrets: {{ db: local:db }} }}\nservices:\n{}",
            (0..n).map(it).collect::<String>()
        )
    };
    let good = |n| {
        services(n, &|i| {
            format!("  s{i}:\n    x-locket:\n      secrets: [db]\n      env: {{ A: db }}\n")
        })
    };
    let bad = |n| {
        services(n, &|i| {
            format!("  s{i}:\n    x-locket:\n      secrtes: [dbb]\n      env: {{ A: dbb }}\n")
        })
    };
    let labels = |n| {
        services(n, &|i| {
            format!("  s{i}:\n    labels: {{ locket.secrets: db, locket.nv.A: db }}\n")
        })
    };
    let extends = |n| services(n, &|i| format!("  s{i}: {{ extends: s{} }}\n", i + 1));
    let secrets = |n: usize| {
        format!(
            "name: s\nx-locket:\n  secrets:\n{}",
            (0..n)
                .map(|i| format!("    k{i}: local:k{i}\n"))
                .collect::<String>()
        )
    };
    let one_line = |n| {
        let all: String = (0..n)
            .map(|i| {
                format!("\"s{i}\": {{\"x-locket\": {{\"secrets\": [\"dbb\"], \"envv\": 1}}}}, ")
            })
            .collect();
        format!("{{\"name\": \"shop\", \"services\": {{{all}}}}}")
    };
    let all: [Family<Making<'_, String>>; 6] = [
        ("one line", 4_000, &one_line),
        ("services", 2_000, &good),
        ("problems", 2_000, &bad),
        ("labels", 2_000, &labels),
        ("extends", 1_000, &extends),
        ("secrets", 10_000, &secrets),
    ];
    for (what, size, make) in all {
        linear(what, size, make, |text| {
            let sources = [text::Text::new("compose.yaml", text.as_str())];
            let input = ModelInput {
                model_yaml: text,
                sources: &sources,
                working_dir: "/",
                read_template: &|_| Err(String::new()),
            };
            let (_, problems) = compile(&input);
            super::shown(&problems[..problems.len().min(16)], &sources);
        });
    }
}

#[test]
fn places_in_one_line() {
    linear(
        "places",
        1 << 20,
        |n| "\u{e9}x ".repeat(n / 4),
        |text| {
            let lines = Lines::new(text);
            for at in (0..text.len()).step_by(32) {
                assert_eq!(lines.position(at), (1, at as u32 / 4 * 3 + 1));
            }
        },
    );
}

/// What a service extends is looked up in every document that there is, and in every document again for what that extends.
#[test]
fn extends_in_many_documents() {
    let chain: String = (0..9)
        .map(|i| format!("  s{i}: {{ extends: s{} }}\n", i + 1))
        .collect();
    let document = format!("---\nservices:\n{chain}  s9: {{ x-locket: [local:a] }}\n");
    let sources = [text::Text::new("compose.yaml", document.repeat(12))];
    let input = ModelInput {
        model_yaml: &document,
        sources: &sources,
        working_dir: "/",
        read_template: &|_| Err(String::new()),
    };
    let (spec, problems) = compile(&input);
    assert!(spec.is_some(), "{problems:?}");
}

#[test]
fn host_config() {
    let grants = |n: usize| {
        format!(
            "grants:\n{}",
            "  - { project: p, references: [\"bao:kv/\"] }\n".repeat(n)
        )
    };
    let wrong = |n: usize| format!("grants:\n{}", "  - { projct: p }\n".repeat(n));
    let all: [Family<Making<'_, String>>; 2] =
        [("grants", 4_000, &grants), ("wrong grants", 4_000, &wrong)];
    for (what, size, make) in all {
        linear(what, size, make, |text| {
            drop(HostConfig::parse("locket.yaml", text))
        });
    }
}

#[test]
fn service_labels() {
    let list = |n: usize| vec![("locket.secrets".to_owned(), "local:a, ".repeat(n))];
    let many = |n: usize| {
        (0..n)
            .map(|i| (format!("locket.env.K{i}"), "local:a".to_owned()))
            .collect()
    };
    let wrong = |n: usize| {
        (0..n)
            .map(|i| (format!("locket.evn.K{i}"), "local:a".to_owned()))
            .collect()
    };
    let all: [Family<Making<'_, Pairs>>; 3] = [
        ("names", 20_000, &list),
        ("env", 8_000, &many),
        ("wrong", 8_000, &wrong),
    ];
    for (what, size, make) in all {
        linear(what, size, make, |all| {
            drop(labels::read(
                all.iter().map(|(k, v)| (k.as_str(), v.as_str())),
                &[],
            ))
        });
    }
}
