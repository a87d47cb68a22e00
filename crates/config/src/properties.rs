//! Every key: its name, default and meaning. `config/application.yaml` is generated from this list.

/// One key.
#[derive(Debug)]
pub struct Property {
    /// Name, as Zeebe spells it where Zeebe has it.
    pub key: &'static str,
    /// Default as text; empty for none.
    pub default: &'static str,
    /// What it does.
    pub meaning: &'static str,
    /// Whether its value must never be shown.
    pub secret: bool,
    /// Other environment variables that mean the same.
    pub other_variables: &'static [&'static str],
}

const fn key(key: &'static str, default: &'static str, meaning: &'static str) -> Property {
    Property {
        key,
        default,
        meaning,
        secret: false,
        other_variables: &[],
    }
}

const fn secret(key: &'static str, meaning: &'static str) -> Property {
    Property {
        key,
        default: "",
        meaning,
        secret: true,
        other_variables: &[],
    }
}

const fn also(property: Property, other_variables: &'static [&'static str]) -> Property {
    Property {
        other_variables,
        ..property
    }
}

/// All keys, in the order of the file.
pub const PROPERTIES: &[Property] = &[
    key(
        "zeebe.broker.cluster.nodeId",
        "0",
        "Number of this broker, from 0; each has its own.",
    ),
    key(
        "zeebe.broker.cluster.clusterSize",
        "1",
        "Number of brokers; the same on all of them.",
    ),
    key(
        "zeebe.broker.cluster.partitionsCount",
        "1",
        "Number of partitions, 1 to 64; the same on all brokers. It cannot change later.",
    ),
    key(
        "zeebe.broker.cluster.replicationFactor",
        "1",
        "Replicas of each partition, each on another broker; 3 outlive the loss of any one broker. The same on all brokers.",
    ),
    key(
        "zeebe.broker.cluster.heartbeatInterval",
        "150ms",
        "Between two signs of life of a partition's leader, 10ms to 10s (Zeebe's default is 250ms). The same on all brokers.",
    ),
    key(
        "zeebe.broker.cluster.electionTimeout",
        "1s",
        "Silence of a leader after which another broker stands for election, others up to twice as late; at least 5 heartbeats, at most 5m (Zeebe's default is 2500ms). It has to be several times as long as an answer of another broker takes. The same on all brokers.",
    ),
    key(
        "zeebe.broker.cluster.clusterName",
        "zeebe-cluster",
        "Name of the cluster, the same on all brokers. Backups carry it; clusters that share a bucket need different base paths.",
    ),
    key(
        "zeebe.broker.cluster.initialContactPoints",
        "",
        "Internal addresses (host:port) of some brokers, separated by commas; they tell of the others. The list may be the same on all brokers. Needed from two brokers on.",
    ),
    key(
        "zeebe.broker.network.host",
        "0.0.0.0",
        "Address that the gateway listens on, unless the gateway has its own.",
    ),
    key(
        "zeebe.broker.network.advertisedHost",
        "127.0.0.1",
        "Address of this broker as Topology shows it to clients.",
    ),
    key(
        "zeebe.broker.network.internalApi.host",
        "",
        "Address that a broker of several listens on for the others; the broker's if not given. docs/cluster.md explains it.",
    ),
    key(
        "zeebe.broker.network.internalApi.port",
        "26502",
        "Port that a broker of several listens on for the others. Let only nodes of the cluster reach it, or protect it as follows.",
    ),
    key(
        "zeebe.broker.network.internalApi.advertisedHost",
        "",
        "Address at which other nodes reach this broker; the advertisedHost above if not given.",
    ),
    key(
        "zeebe.broker.network.internalApi.advertisedPort",
        "",
        "Port at which other nodes reach this broker; the one that it listens on if not given.",
    ),
    key(
        "zeebe.broker.network.security.enabled",
        "false",
        "Whether the nodes of the cluster speak TLS with each other, the same on all of them; then each needs a certificate and a key. docs/security.md explains it.",
    ),
    key(
        "zeebe.broker.network.security.certificateChainPath",
        "",
        "PEM file with the certificate of this node, for the host at which others reach it, and those of authorities between it and a root.",
    ),
    key(
        "zeebe.broker.network.security.privateKeyPath",
        "",
        "PEM file with the key of that certificate.",
    ),
    key(
        "zeebe.broker.network.security.clientAuthoritiesPath",
        "",
        "PEM file with authorities' certificates: every node must show a certificate that one of them has signed, also one that dials. If not given, those of the chain file are trusted, and nodes that dial need none.",
    ),
    also(
        key(
            "zeebe.broker.flowControl.request.enabled",
            "true",
            "Whether the limit below holds for commands of clients that wait at a partition; without it, 65536 may.",
        ),
        &["ZEEBE_BROKER_BACKPRESSURE_ENABLED"],
    ),
    also(
        key(
            "zeebe.broker.flowControl.request.algorithm",
            "fixed",
            "How many may wait: fixed, the only way that there is.",
        ),
        &["ZEEBE_BROKER_BACKPRESSURE_ALGORITHM"],
    ),
    also(
        key(
            "zeebe.broker.flowControl.request.fixed.limit",
            "1024",
            "Commands of clients that may wait at a partition, 1 to 65536. More are refused, but for those that make room.",
        ),
        &["ZEEBE_BROKER_BACKPRESSURE_FIXED_LIMIT"],
    ),
    key(
        "zeebe.broker.flowControl.write.enabled",
        "false",
        "Whether the limit below holds for what a partition writes.",
    ),
    key(
        "zeebe.broker.flowControl.write.limit",
        "0",
        "Records that a partition may write in a second, 1 to 10000000. While more are written, commands of clients are refused, but for those that make room.",
    ),
    key(
        "zeebe.broker.gateway.enable",
        "true",
        "Whether the broker serves clients itself.",
    ),
    key(
        "zeebe.broker.gateway.network.host",
        "",
        "Address that the gateway listens on; the broker's if not given.",
    ),
    key(
        "zeebe.broker.gateway.network.port",
        "26500",
        "Port of the gateway (gRPC).",
    ),
    key(
        "zeebe.broker.gateway.network.maxMessageSize",
        "4MB",
        "Largest message taken from and sent to clients.",
    ),
    key(
        "zeebe.broker.gateway.cluster.requestTimeout",
        "15s",
        "How long a request may take.",
    ),
    key(
        "zeebe.broker.gateway.longPolling.enabled",
        "true",
        "Whether requests for jobs wait until there are some.",
    ),
    key(
        "zeebe.broker.gateway.longPolling.timeout",
        "10000",
        "How long they wait if the client does not say, in milliseconds.",
    ),
    key(
        "zeebe.broker.gateway.longPolling.probeTimeout",
        "10000",
        "How often a waiting request looks for jobs although none was announced, in milliseconds.",
    ),
    key(
        "zeebe.broker.gateway.longPolling.minEmptyResponses",
        "3",
        "How often a request looks for jobs in vain before it waits for an announcement.",
    ),
    key(
        "zeebe.broker.gateway.security.enabled",
        "false",
        "Whether the gateway speaks TLS; then it needs a certificate and a key. docs/security.md explains it.",
    ),
    key(
        "zeebe.broker.gateway.security.certificateChainPath",
        "",
        "PEM file with the certificate of the gateway, and those of authorities between it and a root.",
    ),
    key(
        "zeebe.broker.gateway.security.privateKeyPath",
        "",
        "PEM file with the key of that certificate.",
    ),
    key(
        "zeebe.broker.gateway.security.clientAuthoritiesPath",
        "",
        "PEM file with authorities' certificates: clients must show one that one of them has signed. If not given, they need none.",
    ),
    key(
        "zeebe.broker.gateway.security.authentication.mode",
        "NONE",
        "How clients of the gateway and of the REST API show who they are: NONE, BASIC (user and password) or OIDC (a token). docs/security.md explains it.",
    ),
    secret(
        "zeebe.broker.gateway.security.authentication.basic.users",
        "BASIC: the users with their passwords, such as demo:secret,worker:other.",
    ),
    key(
        "zeebe.broker.gateway.security.authentication.oidc.issuer",
        "",
        "OIDC: the issuer that tokens must name, such as https://id.example.com/realms/camunda.",
    ),
    key(
        "zeebe.broker.gateway.security.authentication.oidc.audience",
        "",
        "OIDC: the audience that tokens must name, such as zeebe-api.",
    ),
    key(
        "zeebe.broker.gateway.security.authentication.oidc.jwkSet",
        "",
        "OIDC: address or file of the issuer's keys (a JWK set). If not given, the issuer is asked where they are.",
    ),
    key(
        "zeebe.broker.data.directory",
        "data",
        "Where the broker keeps its log and state.",
    ),
    key(
        "zeebe.broker.data.logSegmentSize",
        "16MB",
        "Size of one log file. Log files are written in advance.",
    ),
    key(
        "zeebe.broker.data.disk.freeSpace.processing",
        "512MB",
        "Free space below which commands are refused.",
    ),
    key(
        "zeebe.broker.data.backup.store",
        "NONE",
        "Where backups go: NONE, S3 or FILESYSTEM.",
    ),
    key(
        "zeebe.broker.data.backup.filesystem.basePath",
        "",
        "FILESYSTEM: directory of the backups; it must exist.",
    ),
    key(
        "zeebe.broker.data.backup.s3.bucketName",
        "",
        "S3: the bucket; it must exist.",
    ),
    key(
        "zeebe.broker.data.backup.s3.endpoint",
        "",
        "S3: address of the server, such as https://s3.example.com; derived from the region if not given.",
    ),
    key(
        "zeebe.broker.data.backup.s3.region",
        "",
        "S3: region; AWS_REGION or AWS_DEFAULT_REGION if not given.",
    ),
    secret(
        "zeebe.broker.data.backup.s3.accessKey",
        "S3: access key; the environment's AWS credentials if not both keys are given.",
    ),
    secret("zeebe.broker.data.backup.s3.secretKey", "S3: secret key."),
    key(
        "zeebe.broker.data.backup.s3.apiCallTimeout",
        "PT180S",
        "S3: how long one call may take, repetitions included.",
    ),
    key(
        "zeebe.broker.data.backup.s3.forcePathStyleAccess",
        "true",
        "S3: whether the bucket stands in the path (else before the endpoint's host name, unless that is an IP address).",
    ),
    key(
        "zeebe.broker.data.backup.s3.basePath",
        "",
        "S3: prefix of all keys, without slash at its ends.",
    ),
    key(
        "zeebe.broker.data.backup.s3.maxConcurrentConnections",
        "16",
        "S3: how many calls may be under way at once.",
    ),
    key(
        "zeebe.broker.data.backup.uploadTimeout",
        "1h",
        "How long the upload of one partition may take before its backup fails.",
    ),
    key(
        "zeebe.broker.data.backup.uploadBytesPerSecond",
        "0",
        "Bandwidth of one partition's upload, such as 50MB; 0 for no limit.",
    ),
    key(
        "zeebe.broker.data.backup.uploadFrom",
        "LEADER",
        "Which replica of a partition uploads its content: LEADER, or FOLLOWER to spare the leader (which does so where no follower can).",
    ),
    key(
        "zeebe.broker.experimental.features.enableBackup",
        "true",
        "Whether backups can be taken (Zeebe 8.1's switch; there its default is false).",
    ),
    key(
        "zeebe.broker.experimental.partitioning.scheme",
        "ROUND_ROBIN",
        "Which broker keeps which partitions: ROUND_ROBIN, or FIXED as listed next.",
    ),
    key(
        "zeebe.broker.experimental.partitioning.fixed",
        "",
        "FIXED: a list such as [{partitionId: 1, nodes: [{nodeId: 0, priority: 2}, {nodeId: 1, priority: 1}]}]; the node of the highest priority should lead.",
    ),
    key(
        "zeebe.broker.experimental.raft.preferSnapshotReplicationThreshold",
        "0",
        "Log entries that are kept for a replica that lacks them; one that lacks more is given the leader's content. 0 for no limit besides 512 MB of log (Zeebe's default is 100).",
    ),
    key(
        "zeebe.gateway.network.host",
        "0.0.0.0",
        "Of a gateway of its own (skep gateway; docs/cluster.md): address that it listens on.",
    ),
    key("zeebe.gateway.network.port", "26500", "Its port (gRPC)."),
    key(
        "zeebe.gateway.network.maxMessageSize",
        "4MB",
        "Largest message taken from and sent to clients.",
    ),
    also(
        key(
            "zeebe.gateway.cluster.initialContactPoints",
            "127.0.0.1:26502",
            "Internal addresses (host:port) of some brokers, separated by commas; they tell of the others.",
        ),
        &["ZEEBE_GATEWAY_CLUSTER_CONTACTPOINT"],
    ),
    key(
        "zeebe.gateway.cluster.clusterName",
        "zeebe-cluster",
        "Name of the cluster, as its brokers have it.",
    ),
    key(
        "zeebe.gateway.cluster.security.enabled",
        "false",
        "Whether the brokers speak TLS with their nodes; then the gateway needs a certificate and a key, too. docs/security.md explains it.",
    ),
    key(
        "zeebe.gateway.cluster.security.certificateChainPath",
        "",
        "PEM file with the certificate of this node, and those of authorities between it and a root.",
    ),
    key(
        "zeebe.gateway.cluster.security.privateKeyPath",
        "",
        "PEM file with the key of that certificate.",
    ),
    key(
        "zeebe.gateway.cluster.security.clientAuthoritiesPath",
        "",
        "PEM file with authorities' certificates: every node must show a certificate that one of them has signed, also one that dials. If not given, those of the chain file are trusted, and nodes that dial need none.",
    ),
    key(
        "zeebe.gateway.cluster.requestTimeout",
        "15s",
        "How long a request may take.",
    ),
    key(
        "zeebe.gateway.longPolling.enabled",
        "true",
        "Whether requests for jobs wait until there are some.",
    ),
    key(
        "zeebe.gateway.longPolling.timeout",
        "10000",
        "How long they wait if the client does not say, in milliseconds.",
    ),
    key(
        "zeebe.gateway.longPolling.probeTimeout",
        "10000",
        "How often a waiting request looks for jobs although none was announced, in milliseconds.",
    ),
    key(
        "zeebe.gateway.longPolling.minEmptyResponses",
        "3",
        "How often a request looks for jobs in vain before it waits for an announcement.",
    ),
    key(
        "zeebe.gateway.security.enabled",
        "false",
        "Whether the gateway speaks TLS; then it needs a certificate and a key. docs/security.md explains it.",
    ),
    key(
        "zeebe.gateway.security.certificateChainPath",
        "",
        "PEM file with the certificate of the gateway, and those of authorities between it and a root.",
    ),
    key(
        "zeebe.gateway.security.privateKeyPath",
        "",
        "PEM file with the key of that certificate.",
    ),
    key(
        "zeebe.gateway.security.clientAuthoritiesPath",
        "",
        "PEM file with authorities' certificates: clients must show one that one of them has signed. If not given, they need none.",
    ),
    key(
        "zeebe.gateway.security.authentication.mode",
        "NONE",
        "How clients of the gateway and of the REST API show who they are: NONE, BASIC (user and password) or OIDC (a token). docs/security.md explains it.",
    ),
    secret(
        "zeebe.gateway.security.authentication.basic.users",
        "BASIC: the users with their passwords, such as demo:secret,worker:other.",
    ),
    key(
        "zeebe.gateway.security.authentication.oidc.issuer",
        "",
        "OIDC: the issuer that tokens must name, such as https://id.example.com/realms/camunda.",
    ),
    key(
        "zeebe.gateway.security.authentication.oidc.audience",
        "",
        "OIDC: the audience that tokens must name, such as zeebe-api.",
    ),
    key(
        "zeebe.gateway.security.authentication.oidc.jwkSet",
        "",
        "OIDC: address or file of the issuer's keys (a JWK set). If not given, the issuer is asked where they are.",
    ),
    key(
        "zeebe.restore.validateConfig",
        "true",
        "Whether restore refuses a backup of another partition count.",
    ),
    also(
        key(
            "management.endpoint.backups.enabled",
            "true",
            "Whether /actuator/backups is served (Zeebe 8.1's switch; there its default is false).",
        ),
        &["MANAGEMENT_ENDPOINTS_BACKUPS_ENABLED"],
    ),
    key(
        "management.endpoints.web.exposure.include",
        "*",
        "Endpoints that are served, separated by commas: backups, health, prometheus, partitions, exporting, rebalance, cluster, loggers; * for all.",
    ),
    key(
        "management.server.port",
        "9600",
        "Port of the management API (HTTP).",
    ),
    key(
        "management.server.address",
        "0.0.0.0",
        "Address that the management API listens on.",
    ),
    key(
        "management.server.ssl.enabled",
        "true",
        "Whether the management API speaks TLS if it has a certificate.",
    ),
    key(
        "management.server.ssl.certificate",
        "",
        "PEM file with the certificate of the management API, and those of authorities between it and a root.",
    ),
    key(
        "management.server.ssl.certificatePrivateKey",
        "",
        "PEM file with the key of that certificate.",
    ),
    key(
        "management.server.ssl.trustCertificate",
        "",
        "PEM file with authorities' certificates: clients must show one that one of them has signed. If not given, they need none.",
    ),
    key(
        "server.port",
        "8080",
        "Port of the REST API. Without a management.server.port it is the management API's instead, as in Zeebe 8.1.",
    ),
    key(
        "server.address",
        "0.0.0.0",
        "Address that the REST API listens on.",
    ),
    key(
        "server.ssl.enabled",
        "true",
        "Whether the REST API speaks TLS if it has a certificate.",
    ),
    key(
        "server.ssl.certificate",
        "",
        "PEM file with the certificate of the REST API, and those of authorities between it and a root.",
    ),
    key(
        "server.ssl.certificatePrivateKey",
        "",
        "PEM file with the key of that certificate.",
    ),
    key(
        "server.ssl.trustCertificate",
        "",
        "PEM file with authorities' certificates: clients must show one that one of them has signed. If not given, they need none.",
    ),
    key(
        "camunda.rest.enabled",
        "true",
        "Whether the gateway serves the REST API (user tasks). If its port is the default and taken, the broker starts without it.",
    ),
];

/// Exporters have no defaults: their ids are the user's.
const EXPORTERS: &str = "    # Exporters of the record stream, each under an id of your choice; none is configured. docs/exporters.md explains them.
    # In the environment: ZEEBE_BROKER_EXPORTERS_FILE_CLASSNAME, ZEEBE_BROKER_EXPORTERS_FILE_ARGS_DIRECTORY and so on.
    # exporters:
    #   file:
    #     className: JsonLinesExporter
    #     args:
    #       # Directory of the files; made if it does not exist. There is no default.
    #       directory: exports
    #       # Size after which another file is begun.
    #       maxFileSize: 16MB
    #       # Files kept for each partition, the latest ones; 0 for all.
    #       maxFiles: 0
    #       # How often what was exported is made durable, after which the log may let it go.
    #       flushInterval: 1s
    #       # Record types and value types that are exported, separated by commas, such as EVENT and JOB,INCIDENT; all if not given.
    #       recordTypes:
    #       valueTypes:
";

/// The text of `config/application.yaml`: every key with its default and meaning.
pub fn application_yaml() -> String {
    let mut text = String::from(
        "# Configuration of Skep. Every key stands here with its default; every key can also be set in the environment:\n\
         # dots become underscores, all letters upper-case, such as ZEEBE_BROKER_CLUSTER_NODEID.\n",
    );
    let mut open: Vec<&str> = Vec::new();
    for property in PROPERTIES {
        let path: Vec<&str> = property.key.split('.').collect();
        let (name, parents) = path.split_last().expect("a key has a name");
        if open.starts_with(&["zeebe", "broker"]) && !parents.starts_with(&["zeebe", "broker"]) {
            text.push_str(EXPORTERS);
        }
        let shared = open.iter().zip(parents).take_while(|(a, b)| a == b).count();
        for (depth, parent) in parents.iter().enumerate().skip(shared) {
            text.push_str(&format!("{}{parent}:\n", "  ".repeat(depth)));
        }
        open = parents.to_vec();
        let indent = "  ".repeat(parents.len());
        let value = match property.default {
            "" => String::new(),
            "*" => " \"*\"".to_owned(),
            value => format!(" {value}"),
        };
        text.push_str(&format!(
            "{indent}# {}\n{indent}{name}:{value}\n",
            property.meaning
        ));
    }
    text
}
