use expect_test::expect;
use proptest::prelude::*;

use super::*;

fn show(text: &str) -> String {
    match text.parse::<SecretRef>() {
        Ok(r) => {
            assert_eq!(r.to_string(), text);
            let mut out = format!("{} | {}", r.source(), r.path());
            r.field()
                .into_iter()
                .for_each(|f| out += &format!(" # {f}"));
            r.version()
                .into_iter()
                .for_each(|v| out += &format!(" @ {v}"));
            r.query()
                .iter()
                .for_each(|(k, v)| out += &format!(" ? {k}={v}"));
            out
        }
        Err(e) => format!(
            "{} at {:?}{}",
            e,
            text.get(e.at..).unwrap(),
            e.help
                .as_ref()
                .map(|h| format!(" ({h})"))
                .unwrap_or_default()
        ),
    }
}

fn table(all: &[&str]) -> String {
    all.iter()
        .map(|text| format!("{text:<48} {}\n", show(text)))
        .collect()
}

#[test]
fn references_of_all_kinds() {
    let all = [
        "local:smtp",
        "local:/smtp",
        "file:db/password",
        "file:/etc/app/password",
        "file:///etc/app/password",
        "env:STRIPE_KEY",
        "bao:kv/shop/db#password",
        "bao:kv/shop/db#password?version=3",
        "bao:kv/shop/db?version=3#password",
        "bao://kv/shop/db#password",
        "vault:secret/a b/ü#x",
        "vault://secret/x",
        "op://Shop/Stripe/api-key",
        "op://My Vault/My Item/My Section/one time",
        "op://Shop/TLS",
        "op://\"a/b\"/\"say \\\"hi\\\" #1?\"/field",
        "op://Shop/GitHub/otp?attribute=otp",
        "op://Shop/Key/private key?ssh-format=openssh",
        "bws:be8e0ad8-d545-4017-a55a-b02f014d4158",
        "infisical:/prod/db/PASSWORD",
        "infisical://prod/PASSWORD?version=2",
        "se://shop/db",
        "corp-vault:a/b",
        "file:50%25%23%3F100%",
    ];
    expect![[r#"
        local:smtp                                       local | smtp
        local:/smtp                                      local | /smtp
        file:db/password                                 file | db/password
        file:/etc/app/password                           file | /etc/app/password
        file:///etc/app/password                         file | /etc/app/password
        env:STRIPE_KEY                                   env | STRIPE_KEY
        bao:kv/shop/db#password                          bao | kv/shop/db # password
        bao:kv/shop/db#password?version=3                bao | kv/shop/db # password @ 3
        bao:kv/shop/db?version=3#password                bao | kv/shop/db # password @ 3
        bao://kv/shop/db#password                        bao | kv/shop/db # password
        vault:secret/a b/ü#x                             vault | secret/a b/ü # x
        vault://secret/x                                 vault | secret/x
        op://Shop/Stripe/api-key                         op | Shop/Stripe # api-key
        op://My Vault/My Item/My Section/one time        op | My Vault/My Item # My Section/one time
        op://Shop/TLS                                    op | Shop/TLS
        op://"a/b"/"say \"hi\" #1?"/field                op | a/b/say "hi" #1? # field
        op://Shop/GitHub/otp?attribute=otp               op | Shop/GitHub # otp ? attribute=otp
        op://Shop/Key/private key?ssh-format=openssh     op | Shop/Key # private key ? ssh-format=openssh
        bws:be8e0ad8-d545-4017-a55a-b02f014d4158         bws | be8e0ad8-d545-4017-a55a-b02f014d4158
        infisical:/prod/db/PASSWORD                      infisical | /prod/db/PASSWORD
        infisical://prod/PASSWORD?version=2              infisical | prod/PASSWORD @ 2
        se://shop/db                                     se | shop/db
        corp-vault:a/b                                   corp-vault | a/b
        file:50%25%23%3F100%                             file | 50%#?100%
    "#]].assert_eq(&table(&all));
}

#[test]
fn what_is_not_a_reference_says_why_and_where() {
    let all = [
        "",
        "db_password",
        ":x",
        "bao:",
        "bao://",
        "1x:y",
        "a b:c",
        "bao:kv//db",
        "bao:kv/db/",
        "bao:kv/../sys#x",
        "bao:kv/. /x",
        "bao:kv/./x",
        "file:../../etc/shadow",
        "bao:kv/db#",
        "bao:kv/db#a#b",
        "bao:kv/db#a?b",
        "bao:kv/db#a?version=",
        "bao:kv/db?version=1&version=2",
        "bao:kv/db?version=1#a?b",
        "bao: kv/db",
        "op://Shop",
        "op://Shop/a/b/c/d",
        "op://Shop/Stripe#api-key",
        "op://Shop//field",
        "op://\"Shop/x",
        "op://\"Shop\"x/y",
        "op://a/b/\"c/d\"",
    ];
    expect![[r##"
                                                         a reference has a colon after its source at "" (write `<source>:<path>#<field>`)
        db_password                                      a reference has a colon after its source at "db_password" (write `<source>:<path>#<field>`)
        :x                                               what stands before the colon is not a source's name at ":x" (a name has letters, digits, `-` and `_`, and begins with a letter)
        bao:                                             the reference has no path at "" (write `<source>:<path>#<field>`)
        bao://                                           the reference has no path at "" (write `<source>:<path>#<field>`)
        1x:y                                             what stands before the colon is not a source's name at "1x:y" (a name has letters, digits, `-` and `_`, and begins with a letter)
        a b:c                                            what stands before the colon is not a source's name at "a b:c" (a name has letters, digits, `-` and `_`, and begins with a letter)
        bao:kv//db                                       there is nothing where a name should be at "/db"
        bao:kv/db/                                       there is nothing where a name should be at ""
        bao:kv/../sys#x                                  `..` has no place in a path at "../sys#x"
        bao:kv/. /x                                      a name begins or ends with a space at ". /x"
        bao:kv/./x                                       `.` has no place in a path at "./x"
        file:../../etc/shadow                            `..` has no place in a path at "../../etc/shadow"
        bao:kv/db#                                       there is nothing where a name should be at ""
        bao:kv/db#a#b                                    there is a second `#` at "#b" (write `%23` for a `#` in a name)
        bao:kv/db#a?b                                    what follows `?` is not `key=value` at "b" (write `?version=3`, or `%3F` for a `?` in a name)
        bao:kv/db#a?version=                             what follows `?` is not `key=value` at "version=" (write `?version=3`, or `%3F` for a `?` in a name)
        bao:kv/db?version=1&version=2                    the parameter version is there twice at "version=2"
        bao:kv/db?version=1#a?b                          there is more after the field at "?b"
        bao: kv/db                                       a name begins or ends with a space at " kv/db"
        op://Shop                                        an op reference has two to four names at "Shop" (write `op://vault/item/field` or `op://vault/item/section/field`)
        op://Shop/a/b/c/d                                an op reference has two to four names at "d" (write `op://vault/item/field` or `op://vault/item/section/field`)
        op://Shop/Stripe#api-key                         `#` has no place in an op reference at "#api-key" (write `op://vault/item/field` or `op://vault/item/section/field`)
        op://Shop//field                                 there is nothing where a name should be at "/field" (write `op://vault/item/field` or `op://vault/item/section/field`)
        op://"Shop/x                                     the quote is not closed at "\"Shop/x"
        op://"Shop"x/y                                   a quoted name is followed by more at "x/y"
        op://a/b/"c/d"                                   a section or field with a slash in its name cannot be referred to at "\"c/d\"" (use its id)
    "##]].assert_eq(&table(&all));
    assert!("local:a\nb".parse::<SecretRef>().is_err());
    assert!(
        format!("local:{}", "a".repeat(MAX_LENGTH))
            .parse::<SecretRef>()
            .is_err()
    );
    // The place of an error is never inside a character.
    let long = format!("local:a{}", "é".repeat(MAX_LENGTH));
    let error = long.parse::<SecretRef>().unwrap_err();
    assert_eq!(error.at, MAX_LENGTH - 1);
    assert!(long.is_char_boundary(error.at));
}

#[test]
fn two_spellings_are_one_reference() {
    let same = |a: &str, b: &str| {
        let (a, b): (SecretRef, SecretRef) = (a.parse().unwrap(), b.parse().unwrap());
        assert_eq!(a, b);
        assert_eq!(a.canonical(), b.canonical());
        assert_eq!(std::collections::HashSet::from([a, b]).len(), 1);
    };
    same("bao:kv/db#a?version=3", "bao://kv/db?version=3#a");
    same("op://\"Shop\"/x/y", "op:Shop/x/y");
    assert_ne!("local:x".parse::<SecretRef>(), "local:/x".parse());
    assert_ne!(
        "op://\"a/b\"/c".parse::<SecretRef>().unwrap(),
        "op://a/\"b/c\"".parse().unwrap()
    );
}

#[test]
fn a_field_can_be_added_and_survives_json() {
    for (text, field, expected) in [
        ("bao:kv/tls", "certificate", "bao:kv/tls#certificate"),
        ("bao:kv/tls?version=2", "a#b", "bao:kv/tls#a%23b?version=2"),
        ("op://Shop/TLS", "private key", "op://Shop/TLS/private key"),
        (
            "op://\"a/b\"/TLS?attribute=x",
            "key",
            "op://\"a/b\"/TLS/key?attribute=x",
        ),
    ] {
        let it = text.parse::<SecretRef>().unwrap().with_field(field);
        assert_eq!(
            (it.to_string().as_str(), it.field()),
            (expected, Some(field))
        );
        let json = serde_json::to_string(&it).unwrap();
        assert_eq!(serde_json::from_str::<SecretRef>(&json).unwrap(), it);
    }
}

#[test]
fn a_text_with_a_source_is_told_from_a_name() {
    for (text, expected) in [
        ("op://x", Some("op")),
        ("postgres://u:p@h", Some("postgres")),
        ("db", None),
        ("a b:c", None),
        (":", None),
    ] {
        assert_eq!(source_of(text), expected, "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_panics_and_what_parses_comes_back(text in "(bao|op|local|x):(//)?[a-c /#?%23F\"\\\\=&.]{0,30}", any in "\\PC{0,40}") {
        for text in [text, any] {
            match text.parse::<SecretRef>() {
                Ok(it) => {
                    prop_assert_eq!(it.to_string(), text);
                    let again: SecretRef = it.canonical().parse().unwrap();
                    prop_assert_eq!(again.canonical(), it.canonical());
                    prop_assert_eq!(again, it);
                }
                Err(e) => prop_assert!(text.get(e.at..).is_some()),
            }
        }
    }
}
