//! Exporters by file and environment.

use std::time::Duration;

use skep_config::{BrokerConfig, ConfigError, ExporterConfig, Source};

fn exporters(yaml: &str, environment: &[(&str, &str)]) -> Result<Vec<ExporterConfig>, ConfigError> {
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let source = Source::new("config/application.yaml", yaml, environment)?;
    assert!(
        source.unknown_keys().is_empty(),
        "exporters are never unknown"
    );
    Ok(BrokerConfig::from_source(&source)?.exporters)
}

const YAML: &str = "
zeebe:
  broker:
    exporters:
      my-files:
        className: JsonLinesExporter
        args:
          directory: exports
          max-file-size: 1MB
          maxFiles: 5
          valueTypes: [JOB, INCIDENT]
";

#[test]
fn without_exporters_there_are_none() {
    assert!(exporters("", &[]).unwrap().is_empty());
}

#[test]
fn an_exporter_is_read_from_the_file_and_the_environment_overrides_it() {
    let found = exporters(YAML, &[]).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].id, "myfiles");
    assert_eq!(found[0].directory.to_str(), Some("exports"));
    assert_eq!(found[0].file_bytes_max, 1 << 20);
    assert_eq!(found[0].files_max, Some(5));
    assert_eq!(found[0].value_types, ["JOB", "INCIDENT"]);
    assert!(found[0].record_types.is_empty());
    let environment = [
        (
            "ZEEBE_BROKER_EXPORTERS_MYFILES_ARGS_DIRECTORY",
            "/elsewhere",
        ),
        ("ZEEBE_BROKER_EXPORTERS_MYFILES_ARGS_FLUSHINTERVAL", "PT5S"),
        ("ZEEBE_BROKER_EXPORTERS_MYFILES_ARGS_MAXFILES", "0"),
    ];
    let found = exporters(YAML, &environment).unwrap();
    assert_eq!(found[0].directory.to_str(), Some("/elsewhere"));
    assert_eq!(found[0].flush_interval, Duration::from_secs(5));
    assert_eq!(found[0].files_max, None);
}

#[test]
fn the_environment_alone_is_enough() {
    let environment = [
        ("ZEEBE_BROKER_EXPORTERS_A_CLASSNAME", "JsonLinesExporter"),
        ("ZEEBE_BROKER_EXPORTERS_A_ARGS_DIRECTORY", "a"),
        (
            "ZEEBE_BROKER_EXPORTERS_A_ARGS_RECORDTYPES",
            "EVENT, COMMAND",
        ),
        ("ZEEBE_BROKER_EXPORTERS_B_2_CLASSNAME", "JsonLinesExporter"),
        ("ZEEBE_BROKER_EXPORTERS_B_2_ARGS_DIRECTORY", "b"),
    ];
    let found = exporters("", &environment).unwrap();
    let ids: Vec<&str> = found.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["a", "b2"]);
    assert_eq!(found[0].record_types, ["EVENT", "COMMAND"]);
}

#[test]
fn what_cannot_be_is_refused_with_what_to_do() {
    const CLASS: (&str, &str) = ("ZEEBE_BROKER_EXPORTERS_X_CLASSNAME", "JsonLinesExporter");
    const DIRECTORY: (&str, &str) = ("ZEEBE_BROKER_EXPORTERS_X_ARGS_DIRECTORY", "x");
    for (environment, wanted) in [
        (
            vec![(
                "ZEEBE_BROKER_EXPORTERS_ELASTICSEARCH_CLASSNAME",
                "io.camunda.zeebe.exporter.ElasticsearchExporter",
            )],
            "zeebe.broker.exporters.elasticsearch.className (or ZEEBE_BROKER_EXPORTERS_ELASTICSEARCH_CLASSNAME in the environment) is 'io.camunda.zeebe.exporter.ElasticsearchExporter', but must be JsonLinesExporter",
        ),
        (
            vec![DIRECTORY],
            "zeebe.broker.exporters.x.className (ZEEBE_BROKER_EXPORTERS_X_CLASSNAME)",
        ),
        (
            vec![CLASS],
            "zeebe.broker.exporters.x.args.directory (ZEEBE_BROKER_EXPORTERS_X_ARGS_DIRECTORY)",
        ),
        (
            vec![CLASS, DIRECTORY, ("ZEEBE_BROKER_EXPORTERS_X_ARGS_URL", "u")],
            "directory, maxFileSize",
        ),
        (
            vec![
                CLASS,
                DIRECTORY,
                ("ZEEBE_BROKER_EXPORTERS_X_JARPATH", "u.jar"),
            ],
            "left out",
        ),
        (
            vec![
                CLASS,
                DIRECTORY,
                ("ZEEBE_BROKER_EXPORTERS_X_ARGS_MAXFILESIZE", "1KB"),
            ],
            "at least 64KB",
        ),
        (
            vec![
                CLASS,
                DIRECTORY,
                ("ZEEBE_BROKER_EXPORTERS_X_ARGS_MAXFILES", "1"),
            ],
            "2 or more",
        ),
        (
            vec![
                CLASS,
                DIRECTORY,
                ("ZEEBE_BROKER_EXPORTERS_X_ARGS_FLUSHINTERVAL", "0"),
            ],
            "1ms to 60s",
        ),
        (
            vec![CLASS, DIRECTORY, ("ZEEBE_BROKER_EXPORTERS_X_ENABLED", "1")],
            "ZEEBE_BROKER_EXPORTERS_<ID>_ARGS_<NAME>",
        ),
        (
            vec![
                CLASS,
                DIRECTORY,
                ("ZEEBE_BROKER_EXPORTERS_Y_CLASSNAME", "JsonLinesExporter"),
                ("ZEEBE_BROKER_EXPORTERS_Y_ARGS_DIRECTORY", "x"),
            ],
            "the same directory",
        ),
    ] {
        let error = exporters("", &environment).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}
