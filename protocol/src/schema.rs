//! Schemas that serde's derivation cannot tell, for the OpenAPI document.

/// Returns the schema of a value that is a text in JSON.
pub(crate) fn text_schema(
    description: &str,
) -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
    utoipa::openapi::ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::Type::String)
        .description(Some(description))
        .into()
}
