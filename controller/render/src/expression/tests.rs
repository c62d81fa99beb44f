use super::*;
use crate::filter::Work;
use crate::render::Key;

fn run(value: &str, allow_empty: bool, filters: &[Filter]) -> Result<String, Reason> {
    let (key, mut work) = (Key::new([7; 32]), Work::default());
    let mut context = Context {
        key: &key,
        target: String::new(),
        now: None,
        work: &mut work,
    };
    let result = evaluate(value.as_bytes(), allow_empty, filters, &mut context);
    result
        .map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
        .map_err(|fault| fault.reason)
}

#[test]
fn filters_apply_in_order() {
    assert_eq!(
        run(" a ", false, &[Filter::Trim, Filter::Upper, Filter::Hex]),
        Ok("41".into())
    );
    assert_eq!(run("a", false, &[]), Ok("a".into()));
}

/// Value, `allow_empty`, filters, and what comes of them.
type Row = (
    &'static str,
    bool,
    Vec<Filter>,
    Result<&'static str, Reason>,
);

#[test]
fn nothing_is_a_value_only_when_it_was_said() {
    use Filter::{Base64, Required, Sha256, Trim};
    let default = |text: &str| Filter::Default(text.to_owned());
    let of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let no = Err(Reason::EmptyValue);
    let rows: [Row; 17] = [
        ("", false, vec![], no),
        ("", true, vec![], Ok("")),
        ("", false, vec![Sha256], no),
        ("", true, vec![Sha256], Ok(of_nothing)),
        (" ", false, vec![Trim], no),
        (" ", true, vec![Trim], Ok("")),
        ("", false, vec![default("x")], Ok("x")),
        ("", true, vec![default("x")], Ok("x")),
        ("v", false, vec![default("x")], Ok("v")),
        (" ", false, vec![Trim, default("x"), Base64], Ok("eA==")),
        ("", false, vec![Sha256, default("x")], Ok("x")),
        ("", false, vec![default(""), Sha256], Ok(of_nothing)),
        ("", false, vec![default("")], Ok("")),
        ("", true, vec![Required], no),
        ("", false, vec![Required, default("x")], no),
        ("", false, vec![default("x"), Required], Ok("x")),
        ("v", false, vec![Required], Ok("v")),
    ];
    for (value, allow_empty, filters, expected) in rows {
        let got = run(value, allow_empty, &filters);
        assert_eq!(
            got.as_deref(),
            expected.as_ref().map(|s| *s),
            "{value:?} {allow_empty} {filters:?}"
        );
    }
}

#[test]
fn a_step_may_not_grow_over_the_limit() {
    let value = "x".repeat(FILE_LIMIT / 2 + 1);
    assert_eq!(
        run(&value, false, &[Filter::Hex, Filter::Sha256]),
        Err(Reason::TooLarge)
    );
}
