//! Forms.

use skep_protocol::values::{Form, FormMetadata};

use super::writer::Object;

pub(super) fn metadata(object: &mut Object<'_>, value: &FormMetadata) {
    object
        .text("formId", &value.form_id)
        .optional("version", value.version)
        .optional("formKey", value.form_key)
        .text("resourceName", &value.resource_name)
        .bytes("checksum", &value.checksum)
        .boolean("duplicate", value.duplicate)
        .optional("deploymentKey", value.deployment_key)
        .text("versionTag", &value.version_tag)
        .tenant();
}

pub(super) fn form(object: &mut Object<'_>, value: &Form) {
    object
        .text("formId", &value.form_id)
        .optional("version", value.version)
        .optional("formKey", value.form_key)
        .text("resourceName", &value.resource_name)
        .bytes("checksum", &value.checksum)
        .bytes("resource", &value.resource)
        .boolean("duplicate", false)
        .optional("deploymentKey", value.deployment_key)
        .text("versionTag", &value.version_tag)
        .tenant();
}
