//! Forms: how they are read at deployment.

use serde::Deserialize;
use skep_protocol::{Key, names, values};

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
            Some(id) => {
                let tag = head.version_tag.as_deref().unwrap_or_default();
                let checked = names::check("form id", id)
                    .and_then(|()| names::check("version tag", tag));
                checked.map(|()| head).map_err(|error| error.to_string())
            }
        }
    }
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
