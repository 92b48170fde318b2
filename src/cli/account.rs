//! The account of whoever runs the program: the acting user of a question, as far as this machine knows.

/// The account's name, in the characters that the ledger takes; `unknown` where the system does not say.
pub(crate) fn name() -> String {
    let said = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
    let said = said.filter(|name| !name.is_empty()).unwrap_or_else(fallback);
    let plain = |c: char| if c.is_ascii_alphanumeric() || ".-_+@".contains(c) { c } else { '_' };
    said.chars().take(64).map(plain).collect()
}

#[cfg(unix)]
fn fallback() -> String {
    format!("uid-{}", rustix::process::geteuid().as_raw())
}

#[cfg(not(unix))]
fn fallback() -> String {
    "unknown".to_owned()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_name_is_one_that_the_ledger_takes() {
        assert!(super::name().parse::<crate::ledger::Actor>().is_ok());
    }
}
