use locket_fuzz::growth::linear;

/// Makes an input of a size.
type Making<'a> = &'a dyn Fn(usize) -> Vec<u8>;

#[test]
fn every_filter() {
    let json = |n: usize| format!("[{}0]", "0, ".repeat(n / 3)).into_bytes();
    let quotes = |n: usize| "'\"\\\n".repeat(n / 4).into_bytes();
    let pem = |n: usize| {
        format!(
            "-----BEGIN X-----\\n{}-----END X-----",
            "QUJD\\n".repeat(n / 6)
        )
        .into_bytes()
    };
    let all: [(&str, Making<'_>); 15] = [
        ("base64", &quotes),
        ("base64 | base64d", &quotes),
        ("json", &json),
        ("jsonpath(\"$[1]\")", &json),
        ("json_string", &quotes),
        ("yaml_string", &quotes),
        ("urlencode", &quotes),
        ("shell_quote", &quotes),
        ("sql_quote", &quotes),
        ("dotenv_quote", &quotes),
        ("trim", &|n| vec![b' '; n]),
        ("lines", &quotes),
        ("indent(8)", &quotes),
        ("sha256", &quotes),
        ("pem_normalize", &pem),
    ];
    for (filter, make) in all {
        let filters = format!(" | {filter}");
        linear(filter, 1 << 18, make, |value| {
            drop(super::through(&filters, value))
        });
    }
}
