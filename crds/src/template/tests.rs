use expect_test::expect;
use proptest::prelude::*;

use super::*;

fn show(text: &str) -> String {
    match Template::parse(text) {
        Ok(it) => {
            let one = |part: &Part| match part {
                Part::Text(text) => format!("{text:?}"),
                Part::Expr(e) => {
                    assert!(
                        text[e.at.clone()].starts_with("{{") && text[e.at.clone()].ends_with("}}")
                    );
                    let operand = match &e.operand {
                        Operand::Name(name) => format!("<{name}"),
                        Operand::Ref(reference) => format!("<ref {reference}"),
                    };
                    e.filters
                        .iter()
                        .fold(operand, |out, f| format!("{out} | {f}"))
                        + ">"
                }
            };
            format!(
                "= {}",
                it.parts().iter().map(one).collect::<Vec<_>>().join(" ")
            )
        }
        Err(all) => {
            let one = |e: &TemplateError| {
                let help = e
                    .help
                    .as_ref()
                    .map(|h| format!(" ({h})"))
                    .unwrap_or_default();
                format!("{e} at {:?}{help}", &text[e.at.clone()])
            };
            all.iter().map(one).collect::<Vec<_>>().join("\n    ")
        }
    }
}

fn table(all: &[&str]) -> String {
    all.iter()
        .map(|text| format!("> {text}\n    {}\n", show(text)))
        .collect()
}

#[test]
fn templates_of_all_kinds() {
    let all = [
        "",
        "plain } }} text",
        "{{ a }}",
        "{{a}}{{b}}",
        "postgres://app:{{ db_password | urlencode }}@db/app",
        "{{ a|trim|  indent( 4 )\n|default(\"x | }} \\\" \\n\") }}",
        "{{ a | default('it\"s') }}",
        "{\"a\": {{ a | json_string }}}",
        "{{{ a }}}",
        "{{ \"{{\" }} and {{ \"}}\" }} and {{'{{{{'}}",
        "{{ bao:kv/shop/db#password | upper }}",
        "{{ op://My Vault/It's mine/one time?attribute=otp | trim }}",
        "{{ op://\"a | b }}\"/c/d | trim }}",
        "{{ \"op://a|b/c/d\" | trim }}",
        "{{ \"name\" }}",
        "{{ tls.crt }} {{ a-b_c }}",
        "ü{{ a }}ü",
    ];
    expect![[r#"
        > 
            = 
        > plain } }} text
            = "plain } }} text"
        > {{ a }}
            = <a>
        > {{a}}{{b}}
            = <a> <b>
        > postgres://app:{{ db_password | urlencode }}@db/app
            = "postgres://app:" <db_password | urlencode> "@db/app"
        > {{ a|trim|  indent( 4 )
        |default("x | }} \" \n") }}
            = <a | trim | indent(4) | default("x | }} \" \n")>
        > {{ a | default('it"s') }}
            = <a | default("it\"s")>
        > {"a": {{ a | json_string }}}
            = "{\"a\": " <a | json_string> "}"
        > {{{ a }}}
            = "{" <a> "}"
        > {{ "{{" }} and {{ "}}" }} and {{'{{{{'}}
            = "{{ and }} and {{{{"
        > {{ bao:kv/shop/db#password | upper }}
            = <ref bao:kv/shop/db#password | upper>
        > {{ op://My Vault/It's mine/one time?attribute=otp | trim }}
            = <ref op://My Vault/It's mine/one time?attribute=otp | trim>
        > {{ op://"a | b }}"/c/d | trim }}
            = <ref op://"a | b }}"/c/d | trim>
        > {{ "op://a|b/c/d" | trim }}
            = <ref op://a|b/c/d | trim>
        > {{ "name" }}
            = <name>
        > {{ tls.crt }} {{ a-b_c }}
            = <tls.crt> " " <a-b_c>
        > ü{{ a }}ü
            = "ü" <a> "ü"
    "#]]
    .assert_eq(&table(&all));
}

#[test]
fn what_is_not_a_template_says_why_and_where() {
    let all = [
        "{{",
        "a {{ b",
        "{{ \"a }}",
        "{{ }}",
        "{{ \"\" }}",
        "{{ a b }}",
        "{{ a | }}",
        "{{ a || b }}",
        "{{ a | bse64 }}",
        "{{ a | nothing }}",
        "{{ a | trim x }}",
        "{{ a | trim(\"x\") }}",
        "{{ a | default }}",
        "{{ a | default(1) }}",
        "{{ a | default(\"x\" }}",
        "{{ a | default(\"x\", 1) }}",
        "{{ a | indent }}",
        "{{ a | indent(201) }}",
        "{{ a | indent(99999999999999999999) }}",
        "{{ a | indent(-1) }}",
        "{{ \"{{\" | trim }}",
        "{{ \"{{ a\" }}",
        "{{ bao:kv/../x }}",
        "{{ \"bao:kv/\\\"/..\" }}",
        "{{ .Values.x }}",
        "{{ if x }}",
        "{{ a | trm }} and {{ b | uper }} and {{ c",
    ];
    expect![[r#"
        > {{
            the expression is not closed at "{{" (close it with `}}`; a literal `{{` is written `{{ "{{" }}`)
        > a {{ b
            the expression is not closed at "{{" (close it with `}}`; a literal `{{` is written `{{ "{{" }}`)
        > {{ "a }}
            the expression is not closed at "{{" (close it with `}}`; a literal `{{` is written `{{ "{{" }}`)
        > {{ }}
            the expression names no secret at "" (write `{{ name }}`; a literal `{{` is written `{{ "{{" }}`)
        > {{ "" }}
            the expression names no secret at "\"\"" (write `{{ name }}`; a literal `{{` is written `{{ "{{" }}`)
        > {{ a b }}
            this is neither a name nor a reference at "a b" (a name has letters, digits, `.`, `-` and `_`; a filter stands after `|`)
        > {{ a | }}
            there is no filter after `|` at ""
        > {{ a || b }}
            there is no filter after `|` at ""
        > {{ a | bse64 }}
            there is no filter bse64 at "bse64" (did you mean `base64`?)
        > {{ a | nothing }}
            there is no filter nothing at "nothing" (there are 24 others: base64, base64d, bcrypt, default, dotenv_quote, hex, htpasswd, indent, json, json_string, jsonpath, lines, lower, pem_normalize, required, sha256, …)
        > {{ a | trim x }}
            something follows that is not a filter at "x " (filters stand after `|`)
        > {{ a | trim("x") }}
            trim takes no argument at "trim(\"x\")"
        > {{ a | default }}
            default takes a text at "default" (write `default("…")`)
        > {{ a | default(1) }}
            default takes a text at "default(1)" (write `default("…")`)
        > {{ a | default("x" }}
            the argument of default is not understood at "" (write `name("text")` or `name(4)`)
        > {{ a | default("x", 1) }}
            the argument of default is not understood at "," (write `name("text")` or `name(4)`)
        > {{ a | indent }}
            indent takes a number from 0 to 200 at "indent" (write `indent(4)`)
        > {{ a | indent(201) }}
            indent takes a number from 0 to 200 at "indent(201)" (write `indent(4)`)
        > {{ a | indent(99999999999999999999) }}
            indent takes a number from 0 to 200 at "indent(99999999999999999999)" (write `indent(4)`)
        > {{ a | indent(-1) }}
            the argument of indent is not understood at "-" (write `name("text")` or `name(4)`)
        > {{ "{{" | trim }}
            text has no filters at " \"{{\" | trim "
        > {{ "{{ a" }}
            this is neither a name nor a reference at "\"{{ a\"" (a name has letters, digits, `.`, `-` and `_`; a filter stands after `|`)
        > {{ bao:kv/../x }}
            `..` has no place in a path at "../x"
        > {{ "bao:kv/\"/.." }}
            `..` has no place in a path at "\"bao:kv/\\\"/..\""
        > {{ .Values.x }}
            this is neither a name nor a reference at ".Values.x" (a name has letters, digits, `.`, `-` and `_`; a filter stands after `|`)
        > {{ if x }}
            this is neither a name nor a reference at "if x" (a name has letters, digits, `.`, `-` and `_`; a filter stands after `|`)
        > {{ a | trm }} and {{ b | uper }} and {{ c
            there is no filter trm at "trm" (did you mean `trim`?)
            there is no filter uper at "uper" (did you mean `upper`?)
            the expression is not closed at "{{" (close it with `}}`; a literal `{{` is written `{{ "{{" }}`)
    "#]].assert_eq(&table(&all));
}

#[test]
fn there_are_limits() {
    let filters = |n: usize| format!("{{{{ a{} }}}}", " | trim".repeat(n));
    assert!(Template::parse(&filters(MAX_FILTERS)).is_ok());
    assert!(Template::parse(&filters(MAX_FILTERS + 1)).is_err());
    assert!(Template::parse(&"{{ a }}".repeat(MAX_EXPRESSIONS)).is_ok());
    assert!(Template::parse(&"{{ a }}".repeat(MAX_EXPRESSIONS + 1)).is_err());
    assert!(Template::parse(&"a".repeat(MAX_TEXT)).is_ok());
    assert!(Template::parse(&"a".repeat(MAX_TEXT + 1)).is_err());
    assert!(Template::parse(&format!("{{{{ \"{}\" }}}}", "a".repeat(MAX_EXPRESSION))).is_err());
    assert_eq!(
        Template::parse(&"{{ a | b }}".repeat(1000))
            .unwrap_err()
            .len(),
        MAX_PROBLEMS
    );
}

#[test]
fn no_text_takes_long() {
    for piece in [
        "{{ \"",
        "{",
        "{{ a | default(\"",
        "{{ a",
        "{{ (' ",
        "}",
        "{{ \"\\",
        "|",
    ] {
        let _ = Template::parse(&piece.repeat(MAX_TEXT / piece.len()));
    }
}

#[test]
fn the_text_is_what_is_kept() {
    let it = Template::parse("a {{ b | indent(2) }} {{ b }}").unwrap();
    let json = serde_json::to_string(&it).unwrap();
    assert_eq!(json, "\"a {{ b | indent(2) }} {{ b }}\"");
    let again: Template = serde_json::from_str(&json).unwrap();
    assert_eq!((again.parts(), again.operands().count()), (it.parts(), 2));
    assert!(serde_json::from_str::<Template>("\"{{\"").is_err());
}

#[test]
fn every_filter_has_one_name() {
    for (name, takes) in filter::FILTERS {
        let argument = match takes {
            filter::Takes::Nothing => "",
            filter::Takes::Text => "(\"x\")",
            filter::Takes::Number => "(3)",
        };
        let it = Template::parse(&format!("{{{{ a | {name}{argument} }}}}")).unwrap();
        let [Part::Expr(e)] = it.parts() else {
            panic!("{name}")
        };
        assert_eq!(e.filters[0].to_string(), format!("{name}{argument}"));
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "[ab|{}()\"'\\\\ :/#?0-9.ü\n]{0,60}", words in "(\\{\\{|\\}\\}| a | \\| |trim|indent\\(|\\)|\"|'|op://|/|\\\\|4){0,30}") {
        for text in [text, words] {
            match Template::parse(&text) {
                Err(all) => prop_assert!(!all.is_empty() && all.iter().all(|e| text.get(e.at.clone()).is_some()), "{:?}", all),
                Ok(it) => {
                    // Text and expressions cover the whole, in order.
                    let spans: Vec<_> = it.parts().iter().filter_map(|p| match p { Part::Expr(e) => Some(e.at.clone()), Part::Text(_) => None }).collect();
                    prop_assert!(spans.windows(2).all(|w| w[0].end <= w[1].start));
                }
            }
        }
    }

    #[test]
    fn text_without_braces_is_itself(text in "[^{]{0,40}") {
        let it = Template::parse(&text).unwrap();
        let expected: Vec<Part> = (!text.is_empty()).then_some(Part::Text(text)).into_iter().collect();
        prop_assert_eq!(it.parts(), expected);
    }

    #[test]
    fn any_default_can_be_written(text in "\\PC{0,20}") {
        let written = format!("{{{{ a | {} }}}}", Filter::Default(text.clone()));
        let it = Template::parse(&written).unwrap();
        let Part::Expr(e) = &it.parts()[0] else { panic!() };
        prop_assert_eq!(&e.filters, &[Filter::Default(text)]);
    }
}
