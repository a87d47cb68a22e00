//! Names, precedence, defaults and errors, as a user meets them.

use std::time::Duration;

use skep_config::{
    AuthenticationConfig, BackupStoreConfig, BrokerConfig, ConfigError, GatewayConfig, Source,
    properties,
};

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
    let cases: [Case<'_>; 5] = [
        (&[], 9600, 8080, false),
        (
            &[("MANAGEMENT_SERVER_PORT", "9600"), ("SERVER_PORT", "9701")],
            9600,
            9701,
            true,
        ),
        (&[("SERVER_PORT", "9700")], 9700, 8080, false),
        (&[("MANAGEMENT_SERVER_PORT", "9700")], 9700, 8080, false),
        (
            &[("MANAGEMENT_SERVER_PORT", "9700"), ("SERVER_PORT", "9701")],
            9700,
            9701,
            true,
        ),
    ];
    let distributed = properties::application_yaml();
    for (environment, management, rest_port, chosen) in cases {
        for file in ["", &distributed] {
            let config = config(file, environment).unwrap();
            let rest = config.gateway.unwrap().rest.unwrap();
            assert_eq!(
                (
                    config.management.address.port(),
                    rest.address.port(),
                    rest.chosen
                ),
                (management, rest_port, chosen),
                "{environment:?}, with {} bytes of file",
                file.len()
            );
        }
    }
    let own = "server: {port: 9701}\nmanagement: {server: {port: 9700}}";
    let config_of_file = config(own, &[]).unwrap();
    assert_eq!(config_of_file.management.address.port(), 9700);
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
            "set zeebe.broker.cluster.initialContactPoints (ZEEBE_BROKER_CLUSTER_INITIALCONTACTPOINTS)",
        ),
        (
            "ZEEBE_BROKER_CLUSTER_REPLICATIONFACTOR",
            "3",
            "must be at most the number of brokers, zeebe.broker.cluster.clusterSize, which is 1",
        ),
        (
            "ZEEBE_BROKER_CLUSTER_NODEID",
            "1",
            "must be less than the number of brokers, zeebe.broker.cluster.clusterSize, which is 1",
        ),
        (
            "ZEEBE_BROKER_EXPERIMENTAL_PARTITIONING_SCHEME",
            "RANDOM",
            "ROUND_ROBIN or FIXED",
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

const THREE: [(&str, &str); 5] = [
    ("ZEEBE_BROKER_CLUSTER_CLUSTERSIZE", "3"),
    ("ZEEBE_BROKER_CLUSTER_REPLICATIONFACTOR", "2"),
    ("ZEEBE_BROKER_CLUSTER_PARTITIONSCOUNT", "4"),
    ("ZEEBE_BROKER_CLUSTER_NODEID", "2"),
    (
        "ZEEBE_BROKER_CLUSTER_INITIALCONTACTPOINTS",
        "one, two:1 ,[::1]",
    ),
];

#[test]
fn partitions_are_spread_as_zeebe_spreads_them() {
    let cluster = config("", &THREE).unwrap().cluster;
    let replicas = [1, 2, 3, 4, 5].map(|partition| cluster.distribution.replicas(partition));
    assert_eq!(replicas, [&[0, 1][..], &[1, 2], &[2, 0], &[0, 1], &[]]);
    assert!(cluster.distribution.keeps(2, 3) && !cluster.distribution.keeps(2, 1));
}

#[test]
fn contacts_have_the_usual_port_unless_they_say_another() {
    let internal = config("", &THREE).unwrap().cluster.internal.unwrap();
    assert_eq!(internal.contacts, ["one:26502", "two:1", "[::1]:26502"]);
    assert_eq!(internal.address.to_string(), "0.0.0.0:26502");
    assert_eq!(internal.advertised_host, "127.0.0.1");
    let mut wrong = THREE;
    assert!(internal.tls.is_none());
    let without_key = THREE.into_iter().chain([
        ("ZEEBE_BROKER_NETWORK_SECURITY_ENABLED", "true"),
        (
            "ZEEBE_BROKER_NETWORK_SECURITY_CERTIFICATECHAINPATH",
            "node.pem",
        ),
    ]);
    let error = config("", &without_key.collect::<Vec<_>>()).unwrap_err();
    let key = "zeebe.broker.network.security.privateKeyPath";
    assert!(error.to_string().contains(key), "{error}");
    wrong[4].1 = "one:here";
    let error = config("", &wrong).unwrap_err().to_string();
    assert!(error.contains("'one:here'"), "{error}");
    assert!(config("", &[]).unwrap().cluster.internal.is_none());
}

#[test]
fn a_gateway_of_its_own_has_keys_of_its_own() {
    let environment = [
        ("ZEEBE_GATEWAY_CLUSTER_CONTACTPOINT", "one,two:7"),
        ("ZEEBE_GATEWAY_NETWORK_PORT", "7500"),
        ("ZEEBE_GATEWAY_CLUSTER_REQUESTTIMEOUT", "3s"),
        ("ZEEBE_GATEWAY_CLUSTER_SECURITY_ENABLED", "true"),
        (
            "ZEEBE_GATEWAY_CLUSTER_SECURITY_CERTIFICATECHAINPATH",
            "node.pem",
        ),
        ("ZEEBE_GATEWAY_CLUSTER_SECURITY_PRIVATEKEYPATH", "node.key"),
    ];
    let gateway = GatewayConfig::from_source(&source("", &environment)).unwrap();
    assert_eq!(gateway.contacts, ["one:26502", "two:7"]);
    assert_eq!(gateway.clients.address.port(), 7500);
    let among_nodes = gateway.tls.unwrap();
    assert_eq!(among_nodes.certificate_chain.to_str(), Some("node.pem"));
    assert!(gateway.clients.tls.is_none());
    assert_eq!(gateway.clients.request_timeout, Duration::from_secs(3));
    // It reaches a broker that has no gateway itself, also where that is alone.
    let alone = config("", &[("ZEEBE_BROKER_GATEWAY_ENABLE", "false")]).unwrap();
    assert!(alone.cluster.internal.is_some());
}

#[test]
fn partitions_may_be_placed_one_by_one() {
    let placed = |list: &str| {
        let yaml = format!(
            "zeebe:\n  broker:\n    experimental:\n      partitioning:\n        scheme: FIXED\n        fixed: {list}\n"
        );
        let mut environment = THREE;
        environment[2].1 = "2";
        config(&yaml, &environment)
    };
    let first = "{partitionId: 1, nodes: [{nodeId: 0, priority: 1}, {nodeId: 2, priority: 2}]}";
    let list = format!("[{first}, {{partition-id: 2, nodes: [{{nodeId: 2}}, {{nodeId: 1}}]}}]");
    let distribution = placed(&list).unwrap().cluster.distribution;
    assert_eq!(distribution.replicas(1), [2, 0]);
    assert_eq!(distribution.replicas(2), [1, 2]);
    for (rest, reason) in [
        ("", "partition 2 has other nodes"),
        (first, "partition 1 is there twice"),
        (
            "{partitionId: 3, nodes: []}",
            "partition 3 is there twice or does not exist",
        ),
        (
            "{partitionId: 2, nodes: [{nodeId: 1}, {nodeId: 1}]}",
            "partition 2 has other nodes",
        ),
        (
            "{partitionId: 2, nodes: [{nodeId: 1}, {nodeId: 3}]}",
            "not one of the 3 brokers",
        ),
        ("{partitionId: 2}", "partition 2 has other nodes"),
    ] {
        let error = placed(&format!("[{first}, {rest}]"))
            .unwrap_err()
            .to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn partitions_are_placed_one_by_one_by_the_environment_as_well() {
    const FIXED: &str = "ZEEBE_BROKER_EXPERIMENTAL_PARTITIONING_FIXED";
    let placed = |variables: &[(&str, &str)]| {
        let scheme = ("ZEEBE_BROKER_EXPERIMENTAL_PARTITIONING_SCHEME", "FIXED");
        let variables = variables.iter().map(|(rest, value)| {
            let name = format!("{FIXED}{rest}");
            (name, (*value).to_owned())
        });
        let variables: Vec<_> = variables.collect();
        let mut environment = THREE.to_vec();
        environment[2].1 = "2";
        environment.push(scheme);
        environment.extend(variables.iter().map(|(name, value)| (&**name, &**value)));
        config("", &environment).map(|config| config.cluster.distribution)
    };
    let one = "{partitionId: 1, nodes: [{nodeId: 0, priority: 1}, {nodeId: 2, priority: 2}]}";
    let two = "{partitionId: 2, nodes: [{nodeId: 2}, {nodeId: 1}]}";
    let as_in_the_file = format!("[{one}, {two}]");
    let entries = format!("{one}, {two}");
    let indexed = [
        ("_0_PARTITIONID", "1"),
        ("_0_NODES_0_NODEID", "0"),
        ("_0_NODES_0_PRIORITY", "1"),
        ("_0_NODES_1_NODEID", "2"),
        ("_0_NODES_1_PRIORITY", "2"),
        ("_1_PARTITIONID", "2"),
        ("_1_NODES_0_NODEID", "2"),
        ("_1_NODES_1_NODEID", "1"),
    ];
    let given: [&[_]; 3] = [&[("", &*as_in_the_file)], &[("", &*entries)], &indexed];
    for variables in given {
        let distribution = placed(variables).unwrap();
        assert_eq!(distribution.replicas(1), [2, 0]);
        assert_eq!(distribution.replicas(2), [1, 2]);
    }
    for (variable, value) in [("_0_PARTITION", "1"), ("_0_NODES_0_NODEID", "first")] {
        let error = placed(&[(variable, value)]).unwrap_err().to_string();
        assert!(
            error.contains(&format!("{FIXED}{variable} is '{value}'")),
            "{error}"
        );
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

#[test]
fn tls_needs_a_certificate_and_its_key() {
    let [enabled, chain, key, authorities] = [
        "ZEEBE_BROKER_GATEWAY_SECURITY_ENABLED",
        "ZEEBE_BROKER_GATEWAY_SECURITY_CERTIFICATECHAINPATH",
        "ZEEBE_BROKER_GATEWAY_SECURITY_PRIVATEKEYPATH",
        "ZEEBE_BROKER_GATEWAY_SECURITY_CLIENTAUTHORITIESPATH",
    ];
    let files = [(chain, "/a/chain.pem"), (key, "/a/key.pem")];
    let gateway = |environment: &[(&str, &str)]| {
        config("", environment).map(|config| config.gateway.unwrap().tls)
    };
    assert_eq!(gateway(&files).unwrap(), None, "it is not enabled");
    let with = [
        (enabled, "true"),
        files[0],
        files[1],
        (authorities, "/a/ca.pem"),
    ];
    let tls = gateway(&with[..3]).unwrap().unwrap();
    assert_eq!(tls.certificate_chain.to_str(), Some("/a/chain.pem"));
    assert_eq!(tls.private_key.to_str(), Some("/a/key.pem"));
    assert_eq!(tls.client_authorities, None);
    let tls = gateway(&with).unwrap().unwrap();
    assert_eq!(tls.client_authorities.unwrap().to_str(), Some("/a/ca.pem"));
    let error = gateway(&with[..2]).unwrap_err().to_string();
    assert!(
        error.contains("zeebe.broker.gateway.security.privateKeyPath"),
        "{error}"
    );
}

#[test]
fn the_http_servers_speak_tls_once_they_have_a_certificate() {
    let [chain, key] = [
        ("MANAGEMENT_SERVER_SSL_CERTIFICATE", "/a/chain.pem"),
        ("MANAGEMENT_SERVER_SSL_CERTIFICATEPRIVATEKEY", "/a/key.pem"),
    ];
    assert_eq!(config("", &[]).unwrap().management.tls, None);
    assert!(config("", &[chain, key]).unwrap().management.tls.is_some());
    let off = ("MANAGEMENT_SERVER_SSL_ENABLED", "false");
    assert_eq!(config("", &[chain, key, off]).unwrap().management.tls, None);
    let error = config("", &[chain]).unwrap_err().to_string();
    assert!(
        error.contains("management.server.ssl.certificatePrivateKey"),
        "{error}"
    );
    let yaml = "server:\n  ssl:\n    certificate: /a/chain.pem\n    certificate-private-key: /a/key.pem\n    trust-certificate: /a/ca.pem\n";
    let rest = config(yaml, &[]).unwrap().gateway.unwrap().rest.unwrap();
    assert!(rest.tls.unwrap().client_authorities.is_some());
}

#[test]
fn users_and_identity_providers_are_read_and_passwords_never_shown() {
    let [mode, users, issuer, audience] = [
        "ZEEBE_BROKER_GATEWAY_SECURITY_AUTHENTICATION_MODE",
        "ZEEBE_BROKER_GATEWAY_SECURITY_AUTHENTICATION_BASIC_USERS",
        "ZEEBE_BROKER_GATEWAY_SECURITY_AUTHENTICATION_OIDC_ISSUER",
        "ZEEBE_BROKER_GATEWAY_SECURITY_AUTHENTICATION_OIDC_AUDIENCE",
    ];
    let read = |environment: &[(&str, &str)]| {
        config("", environment).map(|config| config.gateway.unwrap().authentication)
    };
    assert!(read(&[]).unwrap().is_none());
    let basic = read(&[(mode, "basic"), (users, "demo:se:cret, worker:x")]).unwrap();
    let Some(AuthenticationConfig::Basic(users_read)) = &basic else {
        panic!("{basic:?}");
    };
    let names: Vec<&str> = users_read.iter().map(|user| user.name.as_str()).collect();
    assert_eq!(names, ["demo", "worker"]);
    assert_eq!(users_read[0].password.reveal(), "se:cret");
    assert!(!format!("{basic:?}").contains("se:cret"));
    let oidc = read(&[
        (mode, "OIDC"),
        (issuer, "https://id.example"),
        (audience, "a"),
    ])
    .unwrap();
    assert!(
        matches!(oidc, Some(AuthenticationConfig::Oidc { keys: None, .. })),
        "{oidc:?}"
    );
    for (environment, names) in [
        (vec![(mode, "maybe")], "NONE, BASIC or OIDC"),
        (vec![(mode, "BASIC")], "demo:secret"),
        (vec![(mode, "BASIC"), (users, "demo:hidden,worker")], "***"),
        (
            vec![(mode, "OIDC"), (issuer, "https://id.example")],
            "oidc.audience",
        ),
    ] {
        let error = read(&environment).unwrap_err().to_string();
        assert!(error.contains(names), "{error}");
        assert!(!error.contains("hidden"), "{error}");
    }
}

#[test]
fn flow_control_has_zeebes_names_old_and_new() {
    let read = |environment: &[(&str, &str)]| config("", environment).unwrap().flow_control;
    let default = read(&[]);
    assert_eq!(default.waiting_max, 1024);
    assert_eq!(default.records_per_second, None);
    for limit in [
        "ZEEBE_BROKER_FLOWCONTROL_REQUEST_FIXED_LIMIT",
        "ZEEBE_BROKER_BACKPRESSURE_FIXED_LIMIT",
    ] {
        assert_eq!(read(&[(limit, "20")]).waiting_max, 20, "{limit}");
    }
    for enabled in [
        "ZEEBE_BROKER_FLOWCONTROL_REQUEST_ENABLED",
        "ZEEBE_BROKER_BACKPRESSURE_ENABLED",
    ] {
        assert_eq!(read(&[(enabled, "false")]).waiting_max, 65_536, "{enabled}");
    }
    let write_limit = ("ZEEBE_BROKER_FLOWCONTROL_WRITE_LIMIT", "500");
    assert_eq!(read(&[write_limit]).records_per_second, None);
    let enabled = ("ZEEBE_BROKER_FLOWCONTROL_WRITE_ENABLED", "true");
    let limited = read(&[enabled, write_limit]);
    assert_eq!(limited.records_per_second, Some(500));
    let error = config("", &[enabled]).unwrap_err().to_string();
    assert!(error.contains("write.limit"), "{error}");
}

#[test]
fn an_algorithm_of_flow_control_that_is_not_here_is_refused_with_those_that_are() {
    for variable in [
        "ZEEBE_BROKER_FLOWCONTROL_REQUEST_ALGORITHM",
        "ZEEBE_BROKER_BACKPRESSURE_ALGORITHM",
    ] {
        assert!(config("", &[(variable, "FIXED")]).is_ok());
        let error = config("", &[(variable, "vegas")]).unwrap_err().to_string();
        assert!(
            error.contains("'vegas'") && error.contains("fixed"),
            "{error}"
        );
    }
}

#[test]
fn leaders_may_be_silent_for_several_heartbeats() {
    let [heartbeat, timeout] = [
        "ZEEBE_BROKER_CLUSTER_HEARTBEATINTERVAL",
        "ZEEBE_BROKER_CLUSTER_ELECTIONTIMEOUT",
    ];
    let read = |given: &[(&str, &str)]| config("", given).map(|config| config.cluster.elections);
    let zeebes = read(&[(heartbeat, "250ms"), (timeout, "PT2.5S")]).unwrap();
    assert_eq!(zeebes.heartbeat.as_millis(), 250);
    assert_eq!(zeebes.timeout.as_millis(), 2_500);
    for (given, told) in [
        ((heartbeat, "1ms"), "10ms"),
        ((heartbeat, "500ms"), "at least 5 times"),
        ((timeout, "1d"), "at most 300s"),
    ] {
        let error = read(&[given]).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}
