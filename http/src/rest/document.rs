//! The OpenAPI document, put together from the sheets of all routes.

use std::collections::BTreeMap;

use utoipa::openapi::path::PathsBuilder;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApiBuilder, PathItem};

use super::route::Routes;

/// The version of this interface, not of the program.
const VERSION: &str = "1";

const ABOUT: &str = "The interface of a Samverkan node for its organisation's members and their programs. \
Log in at `/session` and send the secret as `Authorization: Bearer`. Whoever reads content states the purpose in the \
header `Samverkan-Purpose`. Sentences are in Swedish or English, by `Accept-Language`. What is not carried out is \
answered with a problem (RFC 9457) that has a stable code and, where rules decided, every reason.";

/// The document, as JSON.
pub(super) fn of(routes: &Routes) -> String {
    let mut items: BTreeMap<&str, PathItem> = BTreeMap::new();
    let mut components = ComponentsBuilder::new();
    for line in &routes.documented {
        let item = PathItem::new(line.method.clone(), line.operation.clone());
        match items.get_mut(line.path.as_str()) {
            Some(known) => known.merge_operations(item),
            None => drop(items.insert(&line.path, item)),
        }
        for (name, schema) in &line.schemas {
            components = components.schema(name, schema.clone());
        }
    }
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("The secret of a session or token.")).build();
    let paths = items.into_iter().fold(PathsBuilder::new(), |paths, (path, item)| paths.path(path, item));
    let info = InfoBuilder::new().title("Samverkan").version(VERSION).description(Some(ABOUT)).license(Some(licence())).build();
    let components = components.security_scheme("bearer", SecurityScheme::Http(bearer)).build();
    let api = OpenApiBuilder::new().info(info).paths(paths.build()).components(Some(components)).build();
    api.to_pretty_json().unwrap_or_default()
}

fn licence() -> utoipa::openapi::License {
    LicenseBuilder::new().name("EUPL-1.2").identifier(Some("EUPL-1.2")).build()
}
