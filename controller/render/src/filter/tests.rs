use std::io::Write as _;
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;

/// What a filter gives, or the reason and text of its refusal.
fn run(filter: Filter, input: impl AsRef<[u8]>) -> Result<Vec<u8>, String> {
    at(filter, input, "file a", None)
}

fn at(
    filter: Filter,
    input: impl AsRef<[u8]>,
    target: &str,
    now: Option<u64>,
) -> Result<Vec<u8>, String> {
    let (key, mut work) = (Key::new([7; 32]), Work::default());
    let mut context = Context {
        key: &key,
        target: target.to_owned(),
        now,
        work: &mut work,
    };
    let result = apply(&filter, input.as_ref(), &mut context);
    result
        .map(|bytes| bytes.to_vec())
        .map_err(|fault| format!("{}: {}", fault.reason.as_str(), fault.message))
}

/// Input and output of one filter, as text.
fn table(filter: Filter, rows: &[(&str, &str)]) {
    for (input, expected) in rows {
        let got = run(filter.clone(), input).map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(got.as_deref(), Ok(*expected), "{filter:?} of {input:?}");
    }
}

/// Inputs that one filter refuses, with what it says.
fn refuses(filter: Filter, inputs: &[&str], says: &str) {
    for input in inputs {
        assert_eq!(
            run(filter.clone(), input),
            Err(says.to_owned()),
            "{filter:?} of {input:?}"
        );
    }
}

#[test]
fn encodings() {
    table(
        Filter::Base64,
        &[("", ""), ("a", "YQ=="), ("ab?>", "YWI/Pg==")],
    );
    table(
        Filter::Base64d,
        &[
            ("YQ", "a"),
            ("YWI/\r\n Pg==\n", "ab?>"),
            ("YWI_Pg", "ab?>"),
            ("", ""),
        ],
    );
    refuses(
        Filter::Base64d,
        &["Y", "YWI_/g", "ä", "=YQ="],
        "FilterFailed: the value is not base64",
    );
    table(Filter::Hex, &[("", ""), ("a\n", "610a")]);
    table(
        Filter::Sha256,
        &[(
            "abc",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        )],
    );
    let sha512 = run(Filter::Sha512, "abc").unwrap();
    assert!(sha512.starts_with(b"ddaf35a193617abacc417349ae204131") && sha512.len() == 128);
    table(
        Filter::Urlencode,
        &[
            ("p@ss w/ä~.-_", "p%40ss%20w%2F%C3%A4~.-_"),
            ("\0\n", "%00%0A"),
        ],
    );
}

#[test]
fn text() {
    table(Filter::Trim, &[(" \t\r\n a b \n", "a b"), (" ", "")]);
    table(Filter::Upper, &[("aZ9ä", "AZ9ä")]);
    table(Filter::Lower, &[("aZ9Ä", "az9Ä")]);
    table(
        Filter::Lines,
        &[
            ("", ""),
            ("a", "a\n"),
            ("a\r\nb\rc\n", "a\nb\nc\n"),
            ("\r\r\n\n", "\n\n\n"),
        ],
    );
    table(
        Filter::Indent(2),
        &[
            ("", ""),
            ("a\nb\n", "a\n  b\n"),
            ("a\n\n b", "a\n\n   b"),
            ("\n\r\n", "\n\r\n"),
        ],
    );
    assert_eq!(
        run(Filter::Upper, [b'a', 0xff]),
        Ok(vec![b'A', 0xff]),
        "bytes that are no text stay"
    );
    let long = "\na".repeat(1000);
    refuses(
        Filter::Indent(u16::MAX),
        &[&long],
        "TooLarge: indent gives more than 8 MiB",
    );
}

#[test]
fn quotes() {
    table(
        Filter::JsonString,
        &[("a\"\\\n\u{1}ä/", r#""a\"\\\n\u0001ä/""#)],
    );
    table(
        Filter::YamlString,
        &[(
            "a: #\"\t\u{85}\u{2028}\u{feff}\u{7f}😀",
            r#""a: #\"\t\u0085\u2028\ufeff\u007f😀""#,
        )],
    );
    table(
        Filter::ShellQuote,
        &[("", "''"), ("it's $x\n", "'it'\\''s $x\n'")],
    );
    table(
        Filter::SqlQuote,
        &[
            ("", "''"),
            ("it's", "'it''s'"),
            (r"a\' OR 1=1 --", r"E'a\\'' OR 1=1 --'"),
        ],
    );
    table(
        Filter::DotenvQuote,
        &[
            ("", "''"),
            ("a\"$b #\n", "'a\"$b #\n'"),
            ("it's $b", r#""it's \$b""#),
            ("\\\r\n", r#""\\\r\n""#),
        ],
    );
    refuses(
        Filter::ShellQuote,
        &["a\0"],
        "FilterFailed: the value has a NUL, which a shell word cannot hold",
    );
    refuses(
        Filter::SqlQuote,
        &["a\0"],
        "FilterFailed: the value has a NUL, which a SQL literal cannot hold",
    );
    refuses(
        Filter::DotenvQuote,
        &["a\0"],
        "FilterFailed: the value has a NUL, which a .env file cannot hold",
    );
}

#[test]
fn what_needs_text_says_so() {
    let text_only = [
        Filter::Json,
        Filter::JsonString,
        Filter::YamlString,
        Filter::SqlQuote,
        Filter::DotenvQuote,
        Filter::Jsonpath("$".into()),
        Filter::PemNormalize,
        Filter::Totp,
    ];
    for filter in text_only {
        assert_eq!(
            run(filter, [b'"', 0xff, b'"']),
            Err("NotText: the value is not UTF-8 text".to_owned())
        );
    }
}

#[test]
fn json_keeps_order_and_digits() {
    table(
        Filter::Json,
        &[
            (
                " { \"b\" : [ 1.0 , 1e999, 12345678901234567890123 ],\n\"a\": \"x \\\" \\\\\" } ",
                r#"{"b":[1.0,1e999,12345678901234567890123],"a":"x \" \\"}"#,
            ),
            ("\"a b\"", "\"a b\""),
        ],
    );
    refuses(
        Filter::Json,
        &["", "{", "{} {}", "{'a':1}", "\"\u{1}\""],
        "FilterFailed: the value is not JSON",
    );
    let deep = "[".repeat(200_000) + &"]".repeat(200_000);
    assert_eq!(
        run(Filter::Json, &deep).unwrap().len(),
        400_000,
        "depth costs no stack"
    );
}

#[test]
fn a_jsonpath_leads_to_one_value() {
    let document = r#"{"user": "a\"b\u00e4", "n": 1.50, "none": null, "hosts": [{"c d": true}, {"x": [1, 2]}], "user2": "", "": "empty key"}"#;
    for (path, expected) in [
        ("$.user", "a\"bä"),
        ("$.n", "1.50"),
        ("$.none", ""),
        ("$.hosts[0]['c d']", "true"),
        ("$.hosts[1]", r#"{"x":[1,2]}"#),
        ("$['hosts'][1][\"x\"][1]", "2"),
        ("$['']", "empty key"),
    ] {
        let got = run(Filter::Jsonpath(path.into()), document)
            .map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(got.as_deref(), Ok(expected), "{path}");
    }
    for (path, says) in [
        (
            "$.nope.x",
            "the value has nothing at step 1 of the path, `nope`",
        ),
        (
            "$.hosts[7]",
            "the value has nothing at step 2 of the path, [7]",
        ),
        (
            "$.user.x",
            "the value has nothing at step 2 of the path, `x`",
        ),
        ("$..user", "the path of jsonpath is not understood"),
    ] {
        assert_eq!(
            run(Filter::Jsonpath(path.into()), document),
            Err(format!("FilterFailed: {says}")),
            "{path}"
        );
    }
}

#[test]
fn password_hashes_verify_and_repeat() {
    let text =
        |filter, target| String::from_utf8(at(filter, "pass word", target, None).unwrap()).unwrap();
    let hash = text(Filter::Bcrypt, "file a");
    assert!(hash.starts_with("$2b$10$") && bcrypt::verify("pass word", &hash).unwrap());
    assert_eq!(hash, text(Filter::Bcrypt, "file a"));
    assert_ne!(
        hash,
        text(Filter::Bcrypt, "file b"),
        "two places have two salts"
    );
    let line = text(Filter::Htpasswd("bob".into()), "file a");
    let hash = line.strip_prefix("bob:").unwrap();
    assert!(hash.starts_with("$2y$10$") && bcrypt::verify("pass word", hash).unwrap());

    let long = "x".repeat(73);
    refuses(
        Filter::Bcrypt,
        &[&long, "a\0b"],
        "FilterFailed: bcrypt takes at most 72 bytes and no NUL",
    );
    for user in ["", "a:b", "a\nb"] {
        assert!(
            run(Filter::Htpasswd(user.into()), "x")
                .unwrap_err()
                .contains("the user of htpasswd")
        );
    }
    assert!(
        bcrypt::verify(
            "x".repeat(72),
            std::str::from_utf8(&run(Filter::Bcrypt, "x".repeat(72)).unwrap()).unwrap()
        )
        .unwrap()
    );
}

#[test]
fn pem_is_the_same_however_it_was_pasted() {
    let body = "A".repeat(64) + "BBBB";
    let clean = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\nBBBB\n-----END PRIVATE KEY-----\n",
        "A".repeat(64)
    );
    let pasted = [
        clean.clone(),
        clean.replace('\n', "\r\n"),
        clean.replace('\n', "\\n"),
        clean.replace('\n', " "),
        clean.replace('\n', "\n   "),
        format!("-----BEGIN PRIVATE KEY-----{body}-----END PRIVATE KEY-----"),
        format!("comment\n{clean}bag attributes"),
    ];
    for text in &pasted {
        table(Filter::PemNormalize, &[(text, &clean)]);
    }
    let chain = clean.replace("PRIVATE KEY", "CERTIFICATE").repeat(2);
    table(Filter::PemNormalize, &[(&chain.replace('\n', " "), &chain)]);

    refuses(
        Filter::PemNormalize,
        &["", "hello", "-----END X-----"],
        "FilterFailed: the value has no PEM block",
    );
    let broken = [
        "-----BEGIN X-----",
        "-----BEGIN X-----AAAA-----END Y-----",
        "-----BEGIN X-----AAA-----END X-----",
        "-----BEGIN X----------END X-----",
        "-----BEGIN -----AAAA-----END -----",
    ];
    refuses(
        Filter::PemNormalize,
        &broken,
        "FilterFailed: the value has a broken PEM block",
    );
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----";
    assert!(
        run(Filter::PemNormalize, old)
            .unwrap_err()
            .contains("has headers")
    );
}

/// RFC 6238, appendix B: the seeds are the ASCII digits 1234567890…, of 20, 32 and 64 bytes.
#[test]
fn totp_gives_the_codes_of_the_rfc() {
    let uri = |algorithm: &str, bytes: usize| {
        let seed: String = (0..bytes)
            .map(|i| char::from(b'0' + u8::try_from((i + 1) % 10).unwrap()))
            .collect();
        format!(
            "otpauth://totp/Shop:me?secret={}&issuer=Shop&algorithm={algorithm}&digits=8",
            base32(seed.as_bytes())
        )
    };
    for (now, sha1, sha256, sha512) in [
        (59, "94287082", "46119246", "90693936"),
        (1_111_111_109, "07081804", "68084774", "25091201"),
        (20_000_000_000, "65353130", "77737706", "47863826"),
    ] {
        for (algorithm, bytes, code) in [
            ("SHA1", 20, sha1),
            ("SHA256", 32, sha256),
            ("SHA512", 64, sha512),
        ] {
            assert_eq!(
                at(Filter::Totp, uri(algorithm, bytes), "", Some(now)),
                Ok(code.into()),
                "{algorithm} at {now}"
            );
        }
    }
    let plain = "gezd gnbv-gy3t qojq gezd gnbv gy3t qojq\n";
    assert_eq!(at(Filter::Totp, plain, "", Some(59)), Ok("287082".into()));
    assert!(
        run(Filter::Totp, plain)
            .unwrap_err()
            .starts_with("OneShotOnly: ")
    );
    for bad in [
        "",
        "0189",
        "otpauth://totp/x",
        "otpauth://totp/x?secret=",
        "otpauth://totp/x?secret=GEZA&digits=9",
        "otpauth://hotp/x?secret=GEZA",
    ] {
        assert!(
            at(Filter::Totp, bad, "", Some(59))
                .unwrap_err()
                .starts_with("FilterFailed: "),
            "{bad}"
        );
    }
}

fn base32(bytes: &[u8]) -> String {
    let bits: Vec<u8> = bytes
        .iter()
        .flat_map(|b| (0..8).rev().map(move |i| b >> i & 1))
        .collect();
    let fives = bits
        .chunks(5)
        .map(|five| (0..5).fold(0, |n, i| n << 1 | five.get(i).copied().unwrap_or(0)));
    fives
        .map(|n| char::from(if n < 26 { b'A' + n } else { b'2' + n - 26 }))
        .collect()
}

#[test]
fn work_is_bounded() {
    let (key, mut work) = (
        Key::new([7; 32]),
        Work {
            bytes: WORK_LIMIT - 1,
            bcrypts: 16,
        },
    );
    let mut context = Context {
        key: &key,
        target: String::new(),
        now: None,
        work: &mut work,
    };
    assert_eq!(
        apply(&Filter::Bcrypt, b"x", &mut context)
            .unwrap_err()
            .reason,
        Reason::TooMuchWork
    );
    assert_eq!(
        apply(&Filter::Hex, b"x", &mut context).unwrap_err().reason,
        Reason::TooMuchWork
    );
}

/// Text with much of what is special somewhere.
fn nasty() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a'\"\\\\$`!# \n\r\t%{}:@é\u{85}\u{2028}\u{feff}😀-]{0,12}"
    ]
}

fn without_nul() -> impl Strategy<Value = String> {
    nasty().prop_map(|text| text.replace('\0', ""))
}

proptest! {
    #[test]
    fn base64_comes_back(bytes: Vec<u8>) {
        prop_assert_eq!(run(Filter::Base64d, run(Filter::Base64, &bytes).unwrap()), Ok(bytes));
    }

    #[test]
    fn urlencode_comes_back(bytes: Vec<u8>) {
        let encoded = run(Filter::Urlencode, &bytes).unwrap();
        let mut decoded = Vec::new();
        let mut rest = encoded.iter();
        while let Some(byte) = rest.next() {
            decoded.push(if *byte == b'%' {
                let hex = [*rest.next().unwrap(), *rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap()
            } else {
                prop_assert!(byte.is_ascii_alphanumeric() || b"-._~".contains(byte));
                *byte
            });
        }
        prop_assert_eq!(decoded, bytes);
    }

    #[test]
    fn json_string_comes_back(text in nasty()) {
        let literal = run(Filter::JsonString, &text).unwrap();
        prop_assert_eq!(serde_json::from_slice::<String>(&literal).unwrap(), text.as_str());
        prop_assert_eq!(run(Filter::Jsonpath("$".into()), literal), Ok(text.into_bytes()));
    }

    #[test]
    fn yaml_string_comes_back(text in nasty()) {
        let literal = String::from_utf8(run(Filter::YamlString, &text).unwrap()).unwrap();
        prop_assert_eq!(literal.lines().count(), 1);
        let document = format!("key: {literal} # comment\nother: [{literal}]\n");
        let read: std::collections::BTreeMap<String, serde_json::Value> = serde_saphyr::from_str(&document).unwrap();
        prop_assert_eq!(&read["key"], &serde_json::json!(text));
        prop_assert_eq!(&read["other"], &serde_json::json!([text]));
    }

    #[test]
    fn json_text_means_the_same_when_compact(text in nasty(), n: i64) {
        let value = serde_json::json!({ text.as_str(): [text, n, null, { "a b": false }] });
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        prop_assert_eq!(run(Filter::Json, pretty), Ok(value.to_string().into_bytes()));
    }

    #[test]
    fn sql_literals_come_back(text in without_nul()) {
        let literal = String::from_utf8(run(Filter::SqlQuote, &text).unwrap()).unwrap();
        let (escapes, inner) = match literal.strip_prefix('E') {
            Some(inner) => (true, inner),
            None => (false, literal.as_str()),
        };
        let inner = inner.strip_prefix('\'').unwrap().strip_suffix('\'').unwrap();
        let read = inner.replace("''", "\u{1}q");
        prop_assert!(!read.contains('\''), "an unpaired quote would end the literal");
        let read = if escapes { read.replace("\\\\", "\\") } else { read };
        prop_assert_eq!(escapes, text.contains('\\'));
        prop_assert_eq!(read.replace("\u{1}q", "'"), text.as_str());
    }

    /// The rules of Compose's reader, which a run of the real one confirmed for the table above.
    #[test]
    fn dotenv_values_come_back(text in without_nul()) {
        let literal = String::from_utf8(run(Filter::DotenvQuote, &text).unwrap()).unwrap();
        let inner = &literal[1..literal.len() - 1];
        if literal.starts_with('\'') {
            prop_assert!(!inner.contains(['\'', '\\']));
            prop_assert_eq!(inner, text);
        } else {
            let mut read = String::new();
            let mut chars = inner.chars();
            while let Some(c) = chars.next() {
                prop_assert!(!matches!(c, '"' | '$' | '\n' | '\r'), "bare {:?}", c);
                read.push(match c {
                    '\\' => match chars.next().unwrap() { 'n' => '\n', 'r' => '\r', escaped => escaped },
                    c => c,
                });
            }
            prop_assert_eq!(read, text);
        }
    }

    #[test]
    fn lines_are_lines(bytes: Vec<u8>) {
        let once = run(Filter::Lines, &bytes).unwrap();
        prop_assert!(!once.contains(&b'\r') && (once.is_empty() || once.ends_with(b"\n")));
        prop_assert_eq!(run(Filter::Lines, &once), Ok(once));
    }

    /// Whatever comes in, a filter answers, and a refusal says nothing of it.
    #[test]
    fn no_filter_panics(bytes: Vec<u8>, text in nasty(), n: u16) {
        let filters = [
            Filter::Base64d, Filter::Json, Filter::Jsonpath(text.clone()), Filter::Jsonpath("$.a".into()),
            Filter::PemNormalize, Filter::Totp, Filter::Indent(n), Filter::SqlQuote, Filter::DotenvQuote,
        ];
        for filter in filters {
            for input in [bytes.as_slice(), text.as_bytes()] {
                let _answer = at(filter.clone(), input, "", Some(u64::from(n)));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// A real shell reads every word back; 32 words in one run, because a shell takes a millisecond to start.
    #[test]
    fn shell_words_come_back(words in prop::collection::vec(prop::collection::vec(1..=255_u8, 0..20), 32), more in prop::collection::vec(without_nul(), 32)) {
        let words: Vec<Vec<u8>> = words.into_iter().chain(more.into_iter().map(String::into_bytes)).collect();
        let mut script = b"printf '%s\\0'".to_vec();
        for word in &words {
            script.push(b' ');
            script.extend(run(Filter::ShellQuote, word).unwrap());
        }
        let mut shell = Command::new("sh").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        shell.stdin.take().unwrap().write_all(&script).unwrap();
        let output = shell.wait_with_output().unwrap().stdout;
        let read: Vec<&[u8]> = output.strip_suffix(b"\0").unwrap().split(|b| *b == 0).collect();
        prop_assert_eq!(read, words);
    }
}
