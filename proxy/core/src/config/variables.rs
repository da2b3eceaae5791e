//! `${VAR}` and `${VAR:-default}` inside strings; `$${` is a literal `${`.

use super::problem::Complaint;

/// Fills in the variables of one string.
pub(super) fn expand(
    text: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<String, Complaint> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = after;
            continue;
        }
        expanded.push_str(before);
        let Some((inside, behind)) = after.split_once('}') else {
            return Err(Complaint::new("`${` without its `}`")
                .hint("write `$${` if you mean the characters themselves"));
        };
        expanded.push_str(&value(inside, variable)?);
        rest = behind;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn value(inside: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, Complaint> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let valid = name.bytes().enumerate().all(|(index, byte)| {
        byte == b'_' || byte.is_ascii_alphabetic() || index > 0 && byte.is_ascii_digit()
    });
    if name.is_empty() || !valid {
        return Err(
            Complaint::new(format!("`{name}` is not a variable name")).hint(
                "write `${NAME}` or `${NAME:-default}`, or `$${` for the characters themselves",
            ),
        );
    }
    match (variable(name), default) {
        // As in the shell, `:-` also stands in for an empty value.
        (Some(value), Some(default)) if value.is_empty() => Ok(default.to_owned()),
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(Complaint::new(format!("the variable `{name}` is not set"))
            .hint(format!("set it, or write `${{{name}:-default}}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::expand;

    fn check(input: &str, expected: Result<&str, &str>) {
        let variable = |name: &str| match name {
            "HOME" => Some("/root".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let got = expand(input, &variable);
        let got = got
            .as_deref()
            .map_err(|complaint| complaint.message.as_str());
        assert_eq!(got, expected, "{input}");
    }

    #[test]
    fn variables_are_filled_in() {
        check("plain $ {} text", Ok("plain $ {} text"));
        check("${HOME}/a ${HOME}", Ok("/root/a /root"));
        check("a${EMPTY}b", Ok("ab"));
        check("${EMPTY:-x}", Ok("x"));
        check("${NONE:-}", Ok(""));
        check("${NONE:-10.0.0.1:80}", Ok("10.0.0.1:80"));
        check("${HOME:-x}", Ok("/root"));
        check("$${HOME}", Ok("${HOME}"));
        check("${NONE}", Err("the variable `NONE` is not set"));
        check("${", Err("`${` without its `}`"));
        check("${HOME", Err("`${` without its `}`"));
        check("${}", Err("`` is not a variable name"));
        check("${1A}", Err("`1A` is not a variable name"));
        check("${A B}", Err("`A B` is not a variable name"));
    }
}
