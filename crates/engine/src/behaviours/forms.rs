//! Forms: how they are read at deployment, and which one a user task means.

use serde::Deserialize;
use skep_bpmn::model::Binding;
use skep_protocol::values::{self, IncidentErrorType};
use skep_protocol::{Key, names};

use crate::behaviours::incidents::{Failure, Step, Stop};
use crate::instances::ElementInstance;
use crate::processing::Processing;
use crate::tables::{forms, processes};

/// What is read of a form. The rest is for those who show it.
#[derive(Debug, Deserialize)]
pub(crate) struct FormHead {
    #[serde(default)]
    id: Option<String>,
    /// Tag that bindings can refer to.
    #[serde(default, rename = "versionTag")]
    pub version_tag: Option<String>,
}

impl FormHead {
    /// The form's id.
    pub fn id(&self) -> &str {
        self.id.as_deref().unwrap_or_default()
    }

    /// Reads a form, or says what is wrong with it.
    pub fn parse(content: &[u8]) -> Result<FormHead, String> {
        let head: FormHead = serde_json::from_slice(content).map_err(|error| {
            format!("Expected a form as a JSON object, but found something else: {error}")
        })?;
        match &head.id {
            None => Err("Expected the form id to be present, but none given. Give the form a JSON field 'id'".to_owned()),
            Some(id) if id.trim().is_empty() => {
                Err("Expected the form id to be filled, but it is blank. Give the form a JSON field 'id'".to_owned())
            }
            Some(id) => match names::check("form id", id) {
                Ok(()) => Ok(head),
                Err(error) => Err(error.to_string()),
            },
        }
    }
}

/// The form that an element means by an id.
pub(crate) fn find(
    p: &mut Processing,
    instance: &ElementInstance,
    id: &str,
    binding: &Binding,
) -> Step<Key> {
    let found = match binding {
        Binding::Latest => forms::latest(p.txn, id)?.map(|version| version.key()),
        Binding::Deployment => {
            // Keys grow, so that a form which was there before the process has come with it, or was unchanged when it came.
            let deployment = processes::get(p.txn, instance.process.key)?
                .map_or(0, |process| process.deployment_key);
            let with_process =
                forms::latest_where(p.txn, id, |form| form.deployment_key <= deployment)?;
            with_process.map(|form| Key(form.form_key))
        }
        Binding::VersionTag(tag) => {
            let tagged = forms::latest_where(p.txn, id, |form| *form.version_tag == **tag)?;
            tagged.map(|form| Key(form.form_key))
        }
    };
    found.ok_or_else(|| not_found(id, binding))
}

fn not_found(id: &str, binding: &Binding) -> Stop {
    let mut message = format!(
        "Expected to find a form with id '{id}', but no form with this id is found, at least a form with this id should be available."
    );
    match binding {
        Binding::Latest => {}
        Binding::Deployment => {
            message.push_str(" It must be deployed with the process, or before it.");
        }
        Binding::VersionTag(tag) => {
            message.push_str(&format!(" It must have the version tag '{tag}'."));
        }
    }
    message.push_str(" To resolve the incident please deploy a form with the same id");
    Stop::Incident(Failure::new(IncidentErrorType::FormNotFound, message))
}

/// The event of a form that a deployment brings.
pub(crate) fn of_metadata(deployment: Key, metadata: &values::FormMetadata) -> values::Form {
    values::Form {
        form_id: metadata.form_id.clone(),
        version: metadata.version,
        form_key: metadata.form_key,
        resource_name: metadata.resource_name.clone(),
        checksum: metadata.checksum.clone(),
        resource: Vec::new(),
        deployment_key: deployment.0,
        version_tag: metadata.version_tag.clone(),
    }
}
