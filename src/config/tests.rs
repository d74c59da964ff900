use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::setting::{SECTIONS, SETTINGS};
use super::*;

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn load(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    Loaded::of(Some((Path::new("tidehelm.toml"), file)), pairs(env).into_iter(), &pairs(flags))
}

fn refused(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> String {
    load(file, env, flags).expect_err("should be refused").to_string()
}

/// Since no field is optional and none is unknown, this holds only if the list and the structs name the same keys.
#[test]
fn the_list_of_settings_is_the_structs() {
    let config = Config::default();
    assert_eq!(config.http.bind.to_string(), "127.0.0.1:8787");
    assert_eq!(config.http.auth, Auth::Required);
    assert_eq!(config.http.body_limit.as_usize(), 1 << 20);
    assert_eq!(config.store.lease, Millis::seconds(10));
    assert_eq!(config.journal.telemetry_wait, Millis::new(20));
    assert_eq!(config.retention.telemetry_age, Millis::hours(24));
    assert_eq!(config.retention.telemetry_size, Bytes::gib(20));
    assert_eq!(config.snapshots.every_events, 200_000);
    assert_eq!(config.log.format, LogFormat::Auto);
    assert_eq!(config.desk, Desk { name: "Tidehelm".into() });
    assert!(config.store.url.is_empty() && config.http.allowed_origins.is_empty() && config.http.tls().is_none());
}

#[test]
fn every_setting_has_a_right_default_a_section_and_help() {
    for setting in SETTINGS {
        assert_eq!(setting.kind.check(&setting.default_value()), Ok(()), "{}", setting.key);
        assert!(SECTIONS.iter().any(|(section, _)| *section == setting.section()), "{}", setting.key);
        assert!(setting.help.ends_with('.') && !setting.name().is_empty(), "{}", setting.key);
        assert_eq!(SETTINGS.iter().filter(|other| other.key == setting.key).count(), 1, "{}", setting.key);
    }
    for (section, _) in SECTIONS {
        assert!(SETTINGS.iter().any(|setting| setting.section() == *section), "{section} is empty");
    }
}

#[test]
fn the_later_layer_wins_and_is_named() {
    let file = "[http]\nworkers = 3\n\n[actors]\nmailbox = 3\n[desk]\nname = \"file\"\n";
    let env = [("TIDEHELM_HTTP__WORKERS", "4"), ("TIDEHELM_ACTORS__MAILBOX", "4"), ("HOME", "/root")];
    let loaded = load(file, &env, &[("http.workers", "5"), ("http.workers", "6")]).unwrap();
    assert_eq!((loaded.config.http.workers, loaded.config.actors.mailbox), (6, 4));
    for (key, origin) in [
        ("http.workers", "flag"),
        ("actors.mailbox", "env TIDEHELM_ACTORS__MAILBOX"),
        ("desk.name", "tidehelm.toml:7"),
        ("http.bind", "default"),
    ] {
        assert_eq!(loaded.origins[key].to_string(), origin, "{key}");
    }
    assert_eq!(loaded.origins.len(), SETTINGS.len());
}

/// Every setting can be given another value in each of the three ways, and the three mean the same.
#[test]
fn file_environment_and_flag_mean_the_same() {
    for (key, in_file, as_text) in [
        ("data.dir", "'/var/lib/tidehelm'", "/var/lib/tidehelm"),
        ("store.url", "'postgres://u@h/db'", "postgres://u@h/db"),
        ("store.lease", "'1m30s'", "1m30s"),
        ("store.stall_after", "'900ms'", "900ms"),
        ("http.bind", "'[::1]:0'", "[::1]:0"),
        ("http.behind_tls_proxy", "true", "true"),
        ("http.auth", "'off'", "off"),
        ("http.workers", "0x10", "16"),
        ("http.body_limit", "'2MiB'", "2MiB"),
        ("http.allowed_origins", "['https://a.example', 'http://b:3000']", " https://a.example, http://b:3000"),
        ("http.sse_clients_max", "2_000", "2_000"),
        ("journal.telemetry_wait", "'0ms'", "0ms"),
        ("journal.batch_events_max", "1", "1"),
        ("journal.open_events_max", "50000", "50000"),
        ("journal.inflight_commands_max", "7", "7"),
        ("actors.mailbox", "16", "16"),
        ("actors.timeout_tick", "'1s'", "1s"),
        ("retention.telemetry_age", "'7d'", "7d"),
        ("retention.telemetry_size", "'500GB'", "500GB"),
        ("retention.check_every", "'1h'", "1h"),
        ("snapshots.every_events", "1000", "1000"),
        ("snapshots.every", "'1h'", "1h"),
        ("snapshots.keep_hourly", "0", "0"),
        ("snapshots.keep_daily", "0", "0"),
        ("log.format", "'json'", "json"),
        ("log.level", "'warn,tidehelm::http=debug'", "warn,tidehelm::http=debug"),
        ("desk.name", "'Büro 1'", "Büro 1"),
    ] {
        let (section, name) = key.split_once('.').unwrap();
        let file = load(&format!("{section}.{name} = {in_file}"), &[], &[]).unwrap();
        let variable = format!("TIDEHELM_{}__{}", section.to_uppercase(), name.to_uppercase());
        let env = load("", &[(&variable, as_text)], &[]).unwrap();
        let flag = load("", &[], &[(key, as_text)]).unwrap();
        assert_eq!(file.config, env.config, "{key}");
        assert_eq!(file.config, flag.config, "{key}");
        assert_ne!(file.config, Config::default(), "{key}");
        assert_eq!(file.values, flag.values, "{key}");
    }
}

#[test]
fn an_unknown_key_says_who_said_it_and_what_was_meant() {
    for (file, message) in [
        ("[http]\n\nbnid = '[::1]:1'", "tidehelm.toml:3: unknown key http.bnid; did you mean http.bind?"),
        (
            "[http]\nbehind-tls-proxy = true",
            "tidehelm.toml:2: unknown key http.behind-tls-proxy; did you mean http.behind_tls_proxy?",
        ),
        ("[journal]\nmailbox = 3", "tidehelm.toml:2: unknown key journal.mailbox; did you mean actors.mailbox?"),
        ("bind = 'x'", "tidehelm.toml:1: unknown key bind; did you mean http.bind?"),
        ("[http]\nteapots = 3", "tidehelm.toml:2: unknown key http.teapots"),
        ("http = { bindd = 'x' }", "tidehelm.toml:1: unknown key http.bindd; did you mean http.bind?"),
        ("# x\n[htpp]\nbind = 1\nport = 2", "tidehelm.toml:2: unknown section [htpp]; did you mean [http]?"),
        ("[teapots]", "tidehelm.toml:1: unknown section [teapots]"),
        ("http = 3", "tidehelm.toml:1: http is a section; expected [http] with its keys on the lines below"),
        (
            "[[http]]\nbind = 'x'",
            "tidehelm.toml:1: http is a section; expected [http] with its keys on the lines below",
        ),
        ("'http.bind' = '[::1]:1'", "tidehelm.toml:1: http.bind is in quotes; a key is written without them"),
        (
            "[http.bind]\nx = 1",
            "tidehelm.toml:1: http.bind: found a table; expected an address and port, such as \"127.0.0.1:8787\" or \"[::1]:8787\"",
        ),
    ] {
        assert_eq!(refused(file, &[], &[]), message, "{file}");
    }
    for (name, message) in [
        ("TIDEHELM_HTTP__BNID", "env TIDEHELM_HTTP__BNID: unknown setting; did you mean TIDEHELM_HTTP__BIND?"),
        ("TIDEHELM_HTTP_BIND", "env TIDEHELM_HTTP_BIND: unknown setting; did you mean TIDEHELM_HTTP__BIND?"),
        ("TIDEHELM_http__bind", "env TIDEHELM_http__bind: unknown setting; did you mean TIDEHELM_HTTP__BIND?"),
        ("TIDEHELM_TEA__POTS", "env TIDEHELM_TEA__POTS: unknown setting"),
    ] {
        assert_eq!(refused("", &[(name, "x")], &[]), message);
    }
    assert_eq!(refused("", &[], &[("log.lvl", "info")]), "flag: unknown key log.lvl; did you mean log.level?");
}

#[test]
fn variables_of_others_are_left_alone() {
    for name in
        ["TIDEHELM_TOKEN", "TIDEHELM_URL", "TIDEHELM_LOG", "TIDEHELM_HTTPS_PORT", "XTIDEHELM_HTTP__BIND", "PATH"]
    {
        assert!(load("", &[(name, "x")], &[]).is_ok(), "{name}");
    }
}

#[test]
fn a_wrong_value_says_what_is_expected() {
    const WORKERS: &str = "expected a whole number from 1 to 256";
    const LEASE: &str = "expected a duration from 1s to 10m, such as \"500ms\", \"30s\" or \"24h\"";
    const BODY: &str = "expected a size from 1KiB to 256MiB, such as \"512KiB\" or \"20GiB\"";
    const BIND: &str = "expected an address and port, such as \"127.0.0.1:8787\" or \"[::1]:8787\"";
    const ORIGINS: &str = "expected a list of origins, such as [\"https://desk.example.com\"]";
    const URL: &str = "expected a URL that starts with postgres://, postgresql:// or sqlite:, or empty";
    const LEVEL: &str = "expected off, error, warn, info, debug or trace, or a filter such as \"info,tidehelm=debug\"";
    for (key, value, fault, expected) in [
        ("data.dir", "''", "empty", "expected a path"),
        ("data.dir", "1.5", "found a number", "expected a path"),
        ("store.url", "'mysql://u:hunter2@h/db'", "not the URL of a database that can hold the log", URL),
        ("store.url", "['postgres://u:hunter2@h/db']", "found a list", URL),
        ("store.lease", "30", "30 has no unit", LEASE),
        ("store.lease", "'30'", "\"30\" has no unit", LEASE),
        ("store.lease", "'soon'", "\"soon\" is not a number with a unit", LEASE),
        ("store.lease", "''", "\"\" is not a number with a unit", LEASE),
        ("store.lease", "'-5s'", "\"-5s\" is not a number with a unit", LEASE),
        ("store.lease", "'1.5s'", "\".\" in \"1.5s\" is not a unit (ms, s, m, h, d)", LEASE),
        ("store.lease", "'5 weeks'", "\"weeks\" in \"5 weeks\" is not a unit (ms, s, m, h, d)", LEASE),
        (
            "store.lease",
            "'5s1m'",
            "the units of \"5s1m\" must grow smaller from left to right, each at most once",
            LEASE,
        ),
        ("store.lease", "'99999999999999999999s'", "\"99999999999999999999s\" is too large", LEASE),
        ("store.lease", "'9999999999999999999d'", "\"9999999999999999999d\" is too large", LEASE),
        ("store.lease", "'999ms'", "\"999ms\" is out of range", LEASE),
        ("store.lease", "'601s'", "\"601s\" is out of range", LEASE),
        ("http.body_limit", "1024", "1024 has no unit", BODY),
        ("http.body_limit", "'1gb'", "\"gb\" in \"1gb\" is not a unit (B, kB, KiB, MB, MiB, GB, GiB, TB, TiB)", BODY),
        ("http.body_limit", "'1MiB1B'", "\"1MiB1B\" is not a number with a unit", BODY),
        ("http.body_limit", "'1GiB'", "\"1GiB\" is out of range", BODY),
        ("http.workers", "0", "0 is out of range", WORKERS),
        ("http.workers", "257", "257 is out of range", WORKERS),
        ("http.workers", "-1", "-1 is out of range", WORKERS),
        ("http.workers", "1.5", "1.5 is out of range", WORKERS),
        ("http.workers", "true", "found true or false", WORKERS),
        ("http.workers", "'two'", "found \"two\"", WORKERS),
        ("http.workers", "1979-05-27", "found something else", WORKERS),
        ("http.bind", "'localhost:80'", "\"localhost:80\" is not an address and port", BIND),
        ("http.bind", "':8787'", "\":8787\" is not an address and port", BIND),
        ("http.bind", "8787", "found a number", BIND),
        ("http.behind_tls_proxy", "'yes'", "found \"yes\"", "expected true or false"),
        ("http.tls_cert", "false", "found true or false", "expected a path, or empty"),
        ("http.auth", "'none'", "\"none\" is not one of them", "expected \"required\" or \"off\""),
        ("http.allowed_origins", "'https://a'", "found a text", ORIGINS),
        ("http.allowed_origins", "[3]", "found a number in the list", ORIGINS),
        ("http.allowed_origins", "['*']", "\"*\" does not start with https:// or http://", ORIGINS),
        ("http.allowed_origins", "['https://*.a']", "\"https://*.a\" is more than scheme, host and port", ORIGINS),
        (
            "http.allowed_origins",
            "['https://a', 'https://b/']",
            "\"https://b/\" is more than scheme, host and port",
            ORIGINS,
        ),
        (
            "http.allowed_origins",
            "['https://A']",
            "\"https://A\" has capital letters, which browsers do not send",
            ORIGINS,
        ),
        (
            "http.allowed_origins",
            "['https://a:443']",
            "\"https://a:443\" names the default port, which browsers leave out",
            ORIGINS,
        ),
        ("http.allowed_origins", "['http://']", "\"http://\" names no host", ORIGINS),
        ("log.level", "'inof'", "\"inof\" is not a level (for a module write \"inof=debug\")", LEVEL),
        ("log.level", "''", "empty", LEVEL),
        ("log.level", "'i\u{c4ceb}=info'", "\"i\\u{c4ceb}=info\" has a letter that no filter has", LEVEL),
        ("log.format", "'xml'", "\"xml\" is not one of them", "expected \"auto\" or \"pretty\" or \"json\""),
        ("desk.name", "' '", "empty", "expected a text of 1 to 64 characters"),
        ("desk.name", "\"a\\nb\"", "it holds a control character", "expected a text of 1 to 64 characters"),
    ] {
        let message = refused(&format!("\n{key} = {value}"), &[], &[]);
        assert_eq!(message, format!("tidehelm.toml:2: {key}: {fault}; {expected}"));
    }
    let long = "x".repeat(65);
    assert_eq!(
        refused("", &[], &[("desk.name", &long)]),
        "flag: desk.name: it has 65 characters; expected a text of 1 to 64 characters"
    );
    let message = refused("[log]\nlevel = 'tidehelm=loud'", &[], &[]);
    assert!(message.starts_with("tidehelm.toml:2: log.level: \"tidehelm=loud\" is not a filter ("), "{message}");
    // A variable that is set and empty is said, not passed over.
    let message = refused("", &[("TIDEHELM_HTTP__WORKERS", "")], &[]);
    assert_eq!(message, format!("env TIDEHELM_HTTP__WORKERS: http.workers: found \"\"; {WORKERS}"));
}

#[test]
fn values_that_do_not_go_together_are_laid_to_the_last_that_was_set() {
    for (file, flags, message) in [
        ("[http]\ntls_cert = 'c.pem'", &[][..], "tidehelm.toml:2: http.tls_cert and http.tls_key must be set together"),
        ("http.tls_key = 'k.pem'", &[], "tidehelm.toml:1: http.tls_cert and http.tls_key must be set together"),
        (
            "[store]\nstall_after = '10s'",
            &[],
            "tidehelm.toml:2: store.stall_after (10s) must be shorter than store.lease (10s)",
        ),
        (
            "[store]\nstall_after = '8s'",
            &[("store.lease", "6s")],
            "flag: store.stall_after (8s) must be shorter than store.lease (6s)",
        ),
        (
            "journal.open_events_max = 10",
            &[],
            "tidehelm.toml:1: journal.batch_events_max (20000) must be at most journal.open_events_max (10)",
        ),
    ] {
        assert_eq!(refused(file, &[], flags), message);
    }
}

#[test]
fn everything_that_is_wrong_is_said_at_once_in_the_order_of_the_file() {
    let file = "[store]\nlease = 3\n[http]\nworkers = 0\nbnid = ''\n[data]\ndir = ''\n";
    let message = refused(file, &[("TIDEHELM_LOG__LVL", "x")], &[("desk.nam", "x")]);
    let starts: Vec<&str> = message.lines().map(|line| line.trim().split(": ").next().unwrap()).collect();
    assert_eq!(
        starts,
        [
            "the configuration has 6 problems",
            "tidehelm.toml:2",
            "tidehelm.toml:4",
            "tidehelm.toml:5",
            "tidehelm.toml:7",
            "env TIDEHELM_LOG__LVL",
            "flag"
        ]
    );
}

#[test]
fn a_file_that_is_not_toml_is_laid_to_its_line() {
    let message = refused("[http]\nworkers = 2\nbind = \n", &[], &[]);
    assert!(message.starts_with("tidehelm.toml:3: "), "{message}");
    let message = refused("[http]\nworkers = 2\nworkers = 3\n", &[], &[]);
    assert!(message.starts_with("tidehelm.toml:3: duplicate key"), "{message}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = Loaded::load(Some(Path::new("/nowhere/tidehelm.toml")), std::iter::empty(), &[]).unwrap_err();
    assert_eq!(error.to_string(), "cannot read the configuration file /nowhere/tidehelm.toml");
    assert!(std::error::Error::source(&error).is_some());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("c.toml");
    std::fs::write(&path, "desk.name = 'North'").unwrap();
    let loaded = Loaded::load(Some(&path), std::iter::empty(), &[]).unwrap();
    assert_eq!(loaded.config.desk.name, "North");
    assert_eq!(loaded.origins["desk.name"], Origin::File { path, line: 1 });
    assert_eq!(Loaded::load(None, std::iter::empty(), &[]).unwrap().config, Config::default());
}

#[test]
fn no_complaint_and_no_picture_shows_a_password() {
    let secret = "postgres://u:hunter2@h/db";
    for (file, flags) in [
        ("store.url = 'mysql://u:hunter2@h/db'".to_owned(), vec![]),
        (format!("store.url = '{secret}"), vec![]),
        (format!("store.url = '{secret}'\nstore.url = '{secret}'"), vec![]),
        (format!("store.ulr = '{secret}'"), vec![]),
        (format!("store = '{secret}'"), vec![]),
        (format!("url = '{secret}'"), vec![]),
        (String::new(), vec![("store.ulr", secret)]),
        (String::new(), vec![("store.url", "u:hunter2@h")]),
    ] {
        let error = load(&file, &[], &flags).expect_err("should be refused");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
    let loaded = load("", &[("TIDEHELM_STORE__URL", secret)], &[]).unwrap();
    let pictures = format!("{loaded:?} {:?} {}", loaded.config, serde_json::to_string(&loaded.rows()).unwrap());
    assert!(pictures.contains("postgres://u:***@h/db") && !pictures.contains("hunter2"), "{pictures}");
    assert_eq!(loaded.config.store.url.as_str(), secret);
}

#[test]
fn a_password_is_masked_wherever_it_stands() {
    for (url, shown) in [
        ("", ""),
        ("postgres://h/db", "postgres://h/db"),
        ("postgres://u@h:5432/db", "postgres://u@h:5432/db"),
        ("postgres://[::1]:5432/db", "postgres://[::1]:5432/db"),
        ("postgres://u:p@h:5432/db", "postgres://u:***@h:5432/db"),
        ("postgres://u:@h/db", "postgres://u:***@h/db"),
        ("postgres://u:p@ss/w:rd?@h/db?sslmode=require", "postgres://u:***@h/db?sslmode=require"),
        ("postgres://h/db?user=u&password=p@1&sslmode=require", "postgres://h/db?user=u&password=***&sslmode=require"),
        ("postgres://u@h:1/db?PASSWORD=p@q", "postgres://u@h:1/db?PASSWORD=***"),
        ("postgres://h:1/db?password=p@q", "postgres://h:***"),
        ("postgres://u:p?pass=q@h/db", "postgres://u:***"),
        ("sqlite:data/log.db?mode=rwc", "sqlite:data/log.db?mode=rwc"),
    ] {
        assert_eq!(masked(url), shown);
    }
}

#[test]
fn rows_are_the_list_with_value_and_origin() {
    let loaded = load("[http]\nallowed_origins = ['https://a']\nworkers = 9", &[], &[]).unwrap();
    let rows = loaded.rows();
    assert_eq!(rows.len(), SETTINGS.len());
    let row = serde_json::to_value(rows.iter().find(|row| row.key == "http.workers").unwrap()).unwrap();
    assert_eq!(
        row,
        serde_json::json!({
            "key": "http.workers", "value": 9, "origin": "tidehelm.toml:3", "default": 2,
            "env": "TIDEHELM_HTTP__WORKERS", "help": "Threads that answer HTTP.",
        })
    );
}

#[test]
fn the_template_sets_nothing_and_uncommented_sets_the_defaults() {
    let template = template();
    let loaded = load(&template, &[], &[]).unwrap();
    assert!(loaded.origins.values().all(|origin| *origin == Origin::Default));

    let uncommented: String = template
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line).to_owned() + "\n")
        .collect();
    let loaded = load(&uncommented, &[], &[]).unwrap();
    assert!(loaded.origins.values().all(|origin| matches!(origin, Origin::File { .. })));
    assert_eq!(loaded.config, Config::default());
    for setting in SETTINGS {
        assert!(template.contains(setting.help), "{}", setting.key);
    }
}

#[test]
fn a_flag_is_a_key_and_a_value() {
    assert_eq!(assignment("store.url=sqlite:a=b"), Ok(("store.url".into(), "sqlite:a=b".into())));
    assert_eq!(assignment("store.url="), Ok(("store.url".into(), String::new())));
    for wrong in ["", "store.url", "=x"] {
        assert!(assignment(wrong).unwrap_err().starts_with("expected section.key=value"), "{wrong}");
    }
}

#[test]
fn a_server_that_others_can_reach_has_tls_and_authentication() {
    const TLS: &str = "TLS (set http.tls_cert and http.tls_key, or http.behind_tls_proxy = true \
                       if a proxy in front of this server ends TLS)";
    const AUTH: &str = "authentication (set http.auth = \"required\")";
    // bind, certificate and key, behind a proxy, authentication → what is missing
    for (bind, tls, proxy, auth, missing) in [
        ("127.0.0.1:1", false, false, "required", &[][..]),
        ("127.0.0.1:1", false, false, "off", &[]),
        ("127.9.9.9:1", false, false, "off", &[]),
        ("[::1]:1", false, false, "off", &[]),
        ("[::ffff:127.0.0.1]:1", false, false, "off", &[]),
        ("127.0.0.1:1", true, false, "off", &[]),
        ("127.0.0.1:1", false, true, "required", &[]),
        ("127.0.0.1:1", false, true, "off", &[AUTH]),
        ("0.0.0.0:1", true, false, "required", &[]),
        ("0.0.0.0:1", false, true, "required", &[]),
        ("0.0.0.0:1", false, false, "required", &[TLS]),
        ("0.0.0.0:1", true, false, "off", &[AUTH]),
        ("0.0.0.0:1", false, true, "off", &[AUTH]),
        ("0.0.0.0:1", false, false, "off", &[TLS, AUTH]),
        ("192.168.1.5:1", false, false, "required", &[TLS]),
        ("[::]:1", false, false, "required", &[TLS]),
        ("[::ffff:10.0.0.1]:1", false, false, "required", &[TLS]),
    ] {
        let files = if tls {
            [("http.tls_cert", "c"), ("http.tls_key", "k")]
        } else {
            [("http.tls_cert", ""), ("http.tls_key", "")]
        };
        let proxy = if proxy { "true" } else { "false" };
        let flags = [("http.bind", bind), ("http.behind_tls_proxy", proxy), ("http.auth", auth), files[0], files[1]];
        let config = load("", &[], &flags).unwrap().config;
        match check_exposure(&config) {
            Ok(()) => assert!(missing.is_empty(), "{flags:?}"),
            Err(error) => {
                let missing = missing.join(" and without ");
                assert!(!missing.is_empty() && error.to_string().contains(&missing), "{flags:?}: {error}");
            }
        }
    }
    let open = load("http.bind = '0.0.0.0:8787'", &[], &[]).unwrap().config;
    assert_eq!(
        check_exposure(&open).unwrap_err().to_string(),
        format!(
            "refusing to listen on 0.0.0.0:8787, which other machines can reach, without {TLS}; \
             or listen on this machine only with http.bind = \"127.0.0.1:8787\""
        )
    );
}

#[test]
fn durations_and_sizes_are_read_as_written() {
    for (text, millis) in [
        ("0s", 0),
        ("500ms", 500),
        ("30s", 30_000),
        ("24h", 86_400_000),
        ("7d", 604_800_000),
        ("1h30m", 5_400_000),
        ("1 h", 3_600_000),
    ] {
        assert_eq!(text.parse::<Millis>().map(Millis::get), Ok(millis), "{text}");
    }
    for (text, bytes) in
        [("0B", 0), ("512B", 512), ("4kB", 4_000), ("4KiB", 4_096), ("20GiB", 20 << 30), ("1 TB", 1_000_000_000_000)]
    {
        assert_eq!(text.parse::<Bytes>().map(Bytes::get), Ok(bytes), "{text}");
    }
    for (millis, shown) in [(0, "0s"), (1_500, "1500ms"), (90_000, "90s"), (86_400_000, "24h"), (2_592_000_000, "30d")]
    {
        assert_eq!(Millis::new(millis).to_string(), shown);
    }
    for (bytes, shown) in [(0, "0B"), (1_500, "1500B"), (2_000, "2kB"), (1 << 20, "1MiB"), (20 << 30, "20GiB")] {
        assert_eq!(Bytes::new(bytes).to_string(), shown);
    }
    assert_eq!(Duration::from(Millis::seconds(2)), Duration::from_secs(2));
}

proptest! {
    #[test]
    fn a_duration_or_size_that_is_shown_is_read_back(amount: u64) {
        prop_assert_eq!(Millis::new(amount).to_string().parse(), Ok(Millis::new(amount)));
        prop_assert_eq!(Bytes::new(amount).to_string().parse(), Ok(Bytes::new(amount)));
    }

    #[test]
    fn no_text_breaks_the_reader(file in ".{0,80}", key in "[a-z_.=]{0,20}", text in ".{0,20}|[ -~]{0,20}") {
        let _ = load(&file, &[(&format!("TIDEHELM_{}", key.to_uppercase()), &text)], &[(&key, &text)]);
        for setting in SETTINGS {
            let _ = load(&format!("{} = '{text}'", setting.key), &[], &[(setting.key, &text)]);
        }
        let _ = (masked(&text), text.parse::<Millis>(), text.parse::<Bytes>());
    }

    #[test]
    fn no_password_gets_through_the_mask(password in "([a-zA-PR-Z0-9:/@?&=#%]|pass=){0,12}") {
        let password = format!("Q{password}Q");
        for url in [format!("postgres://user:{password}@host/db"), format!("postgres://user:{password}@host:1/db?a=b")] {
            let shown = masked(&url);
            prop_assert!(shown.starts_with("postgres://user:***") && !shown.contains('Q'), "{}", shown);
        }
    }
}
