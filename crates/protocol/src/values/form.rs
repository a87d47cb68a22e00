//! Forms that user tasks refer to.

/// A form of a deployment.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FormMetadata {
    /// Form id.
    #[prost(string, tag = "1")]
    pub form_id: String,
    /// Version, from 1.
    #[prost(int32, tag = "2")]
    pub version: i32,
    /// Its key.
    #[prost(int64, tag = "3")]
    pub form_key: i64,
    /// Resource it came in.
    #[prost(string, tag = "4")]
    pub resource_name: String,
    /// Hash of the resource's bytes.
    #[prost(bytes = "vec", tag = "5")]
    pub checksum: Vec<u8>,
    /// Whether the latest version was the same, so that nothing new came.
    #[prost(bool, tag = "6")]
    pub duplicate: bool,
    /// Tag that bindings can refer to; empty when it has none.
    #[prost(string, tag = "7")]
    pub version_tag: String,
    /// The deployment that brought it: this one, or of what is the same as before, an earlier one.
    #[prost(int64, tag = "8")]
    pub deployment_key: i64,
}

/// A form.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Form {
    /// Form id.
    #[prost(string, tag = "1")]
    pub form_id: String,
    /// Version, from 1.
    #[prost(int32, tag = "2")]
    pub version: i32,
    /// Its key.
    #[prost(int64, tag = "3")]
    pub form_key: i64,
    /// Resource it came in.
    #[prost(string, tag = "4")]
    pub resource_name: String,
    /// Hash of the resource's bytes.
    #[prost(bytes = "vec", tag = "5")]
    pub checksum: Vec<u8>,
    /// The resource itself.
    #[prost(bytes = "vec", tag = "6")]
    pub resource: Vec<u8>,
    /// The deployment that brought it.
    #[prost(int64, tag = "7")]
    pub deployment_key: i64,
    /// Tag that bindings can refer to; empty when it has none.
    #[prost(string, tag = "8")]
    pub version_tag: String,
}
