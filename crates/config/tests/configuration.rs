//! Names, precedence, defaults and errors, as a user meets them.

use std::time::Duration;

use skep_config::{BackupStoreConfig, BrokerConfig, ConfigError, Source, properties};

fn source(yaml: &str, environment: &[(&str, &str)]) -> Source {
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Source::new("config/application.yaml", yaml, environment)
        .expect("the YAML of a test can be read")
}

fn config(yaml: &str, environment: &[(&str, &str)]) -> Result<BrokerConfig, ConfigError> {
    BrokerConfig::from_source(&source(yaml, environment))
}

#[test]
fn the_distributed_file_lists_every_key_with_its_default() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/application.yaml");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, properties::application_yaml()).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(path).unwrap(),
        properties::application_yaml(),
        "run with UPDATE_GOLDEN=1"
    );
    let given = source(&properties::application_yaml(), &[]);
    assert!(given.unknown_keys().is_empty());
    assert_eq!(
        format!("{:?}", BrokerConfig::from_source(&given).unwrap()),
        format!("{:?}", config("", &[]).unwrap())
    );
}

#[test]
fn the_environment_overrides_the_file_and_names_are_relaxed() {
    let yaml = "zeebe:\n  broker:\n    cluster:\n      partitions-count: 3\n    data:\n      backup:\n        store: s3\n        s3: {bucket-name: one, region: here}\n";
    let Some(BackupStoreConfig::S3(s3)) =
        config(yaml, &[("ZEEBE_BROKER_DATA_BACKUP_S3_BUCKETNAME", "two")])
            .unwrap()
            .backup
            .store
    else {
        panic!("S3 was configured")
    };
    assert_eq!(s3.bucket_name, "two");
    assert_eq!(s3.api_call_timeout, Duration::from_secs(180));
    assert_eq!(config(yaml, &[]).unwrap().partitions_count, 3);
}

#[test]
fn both_spellings_of_the_endpoint_switch_work() {
    for name in [
        "MANAGEMENT_ENDPOINTS_BACKUPS_ENABLED",
        "MANAGEMENT_ENDPOINT_BACKUPS_ENABLED",
    ] {
        assert!(
            !config("", &[(name, "false")])
                .unwrap()
                .management
                .backups_enabled,
            "{name}"
        );
    }
}

#[test]
fn the_port_of_all_http_is_managements_unless_that_has_its_own() {
    // management, rest, whether the latter is another than the default
    type Case<'a> = (&'a [(&'a str, &'a str)], u16, u16, bool);
    let cases: [Case<'_>; 4] = [
        (&[], 9600, 8080, false),
        (&[("SERVER_PORT", "9700")], 9700, 8080, false),
        (&[("MANAGEMENT_SERVER_PORT", "9700")], 9700, 8080, false),
        (
            &[("MANAGEMENT_SERVER_PORT", "9700"), ("SERVER_PORT", "9701")],
            9700,
            9701,
            true,
        ),
    ];
    for (environment, management, rest_port, chosen) in cases {
        let config = config("", environment).unwrap();
        assert_eq!(
            config.management.address.port(),
            management,
            "{environment:?}"
        );
        let rest = config.gateway.unwrap().rest.unwrap();
        assert_eq!(
            (rest.address.port(), rest.chosen),
            (rest_port, chosen),
            "{environment:?}"
        );
    }
    let off = config("", &[("CAMUNDA_REST_ENABLED", "false")]).unwrap();
    assert!(off.gateway.unwrap().rest.is_none());
}

#[test]
fn a_region_from_the_environment_is_enough() {
    let environment = [
        ("ZEEBE_BROKER_DATA_BACKUP_STORE", "S3"),
        ("ZEEBE_BROKER_DATA_BACKUP_S3_BUCKETNAME", "b"),
        ("AWS_REGION", "r"),
    ];
    assert!(config("", &environment).is_ok());
    let error = config("", &environment[..2]).unwrap_err().to_string();
    assert!(error.contains("AWS_REGION"), "{error}");
}

#[test]
fn errors_name_the_key_the_variable_the_value_and_what_is_expected() {
    for (name, value, wanted) in [
        (
            "ZEEBE_BROKER_CLUSTER_PARTITIONSCOUNT",
            "65",
            "zeebe.broker.cluster.partitionsCount (or ZEEBE_BROKER_CLUSTER_PARTITIONSCOUNT in the environment) is '65', but must be a whole number from 1 to 64",
        ),
        (
            "ZEEBE_BROKER_CLUSTER_CLUSTERSIZE",
            "3",
            "this version runs one broker",
        ),
        (
            "ZEEBE_BROKER_DATA_BACKUP_STORE",
            "TAPE",
            "NONE, S3 or FILESYSTEM",
        ),
        (
            "ZEEBE_BROKER_DATA_BACKUP_STORE",
            "S3",
            "bucketName must not be empty",
        ),
        (
            "ZEEBE_BROKER_DATA_BACKUP_STORE",
            "filesystem",
            "basePath must not be empty",
        ),
        (
            "ZEEBE_BROKER_GATEWAY_CLUSTER_REQUESTTIMEOUT",
            "soon",
            "a duration such as 15s",
        ),
        ("ZEEBE_BROKER_NETWORK_HOST", "not a host", "an IP address"),
    ] {
        let error = config("", &[(name, value)]).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn secrets_are_never_shown() {
    let environment = [
        ("ZEEBE_BROKER_DATA_BACKUP_STORE", "S3"),
        ("ZEEBE_BROKER_DATA_BACKUP_S3_BUCKETNAME", "b"),
        ("ZEEBE_BROKER_DATA_BACKUP_S3_ENDPOINT", "http://localhost:1"),
        ("ZEEBE_BROKER_DATA_BACKUP_S3_ACCESSKEY", "open sesame"),
        ("ZEEBE_BROKER_DATA_BACKUP_S3_SECRETKEY", "open sesame"),
    ];
    let source = source("", &environment);
    let shown = format!(
        "{:?} {:?}",
        BrokerConfig::from_source(&source).unwrap(),
        source.in_force().collect::<Vec<_>>()
    );
    assert!(!shown.contains("sesame"), "{shown}");
}

#[test]
fn keys_that_mean_nothing_are_reported() {
    assert_eq!(
        source("zeebe:\n  broker:\n    clutser: {nodeId: 1}\n", &[]).unknown_keys(),
        ["zeebe.broker.clutser.nodeid"]
    );
}

#[test]
fn a_file_that_is_no_yaml_is_named() {
    let error = Source::new("config/application.yaml", "a: [", std::iter::empty())
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("the configuration file config/application.yaml is not valid YAML"),
        "{error}"
    );
}
