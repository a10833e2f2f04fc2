//! Sheets: what the OpenAPI document says of one route, taken from the types that its handler has.
//!
//! The document can't drift from the code: inputs and replies describe themselves, and a route's sheet is filled in by
//! exactly the types it is registered with.

use std::collections::BTreeMap;

use policy::access::Permission;
use utoipa::openapi::path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{Content, KnownFormat, Ref, RefOr, Required, ResponseBuilder, Schema, SecurityRequirement};
use utoipa::{IntoParams, ToSchema};

use super::input::Input;
use super::reply::Reply;
use crate::problem::{self, PURPOSE, ProblemBody};

/// What is known of one route so far.
#[derive(Default)]
pub(crate) struct Sheet {
    summary: &'static str,
    operation: OperationBuilder,
    schemas: BTreeMap<String, RefOr<Schema>>,
}

impl Sheet {
    /// A sheet for the route, with the names in its path as parameters.
    pub(crate) fn new(id: String, tag: &str, summary: &'static str, path: &str) -> Self {
        let mut sheet = Self { summary, ..Self::default() };
        sheet.operation = OperationBuilder::new().operation_id(Some(id)).tag(tag).summary(Some(summary));
        for name in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True);
            sheet.parameter(parameter.description(Some(about(name))).schema(Some(word())).build());
        }
        sheet
    }

    /// What the route does.
    pub(crate) const fn summary(&self) -> &'static str {
        self.summary
    }

    /// What the handler takes and gives back.
    pub(crate) fn fill<I: Input, R: Reply>(&mut self) {
        I::describe(self);
        R::describe(self);
    }

    /// The route takes a credential, and these rights.
    pub(crate) fn permission(&mut self, permission: Permission) {
        let described = format!("Needs the permission `{permission}`.");
        self.change(|operation| operation.description(Some(described)).security(SecurityRequirement::new::<_, _, String>("bearer", [])));
        if matches!(permission, Permission::ReadRecord | Permission::SearchRecords) {
            let purpose = ParameterBuilder::new().name(PURPOSE).parameter_in(ParameterIn::Header).required(Required::True);
            let about = "The purpose for which you read, for example `counter-terrorism`; it is kept in the ledger.";
            self.parameter(purpose.description(Some(about)).schema(Some(word())).build());
        }
    }

    /// The route needs no credential.
    pub(crate) fn open(&mut self) {
        self.change(|operation| operation.securities(Some([])));
    }

    /// A parameter.
    pub(crate) fn parameter(&mut self, parameter: Parameter) {
        self.change(|operation| operation.parameter(parameter));
    }

    /// Every parameter of a query.
    pub(crate) fn query<T: IntoParams>(&mut self) {
        for parameter in T::into_params(|| Some(ParameterIn::Query)) {
            self.parameter(parameter);
        }
    }

    /// A JSON body.
    pub(crate) fn json_body<T: ToSchema>(&mut self) {
        let content = Content::new(Some(self.schema::<T>()));
        self.body("application/json", content);
    }

    /// A body of bytes.
    pub(crate) fn bytes_body(&mut self, media_type: &str) {
        self.body(media_type, Content::new(Some(bytes())));
    }

    fn body(&mut self, media_type: &str, content: Content) {
        let body = RequestBodyBuilder::new().content(media_type, content).required(Some(Required::True)).build();
        self.change(|operation| operation.request_body(Some(body)));
    }

    /// A JSON response.
    pub(crate) fn json<T: ToSchema>(&mut self, status: u16) {
        let content = Content::new(Some(self.schema::<T>()));
        self.change(|operation| {
            operation.response(status.to_string(), ResponseBuilder::new().description("Done").content("application/json", content).build())
        });
    }

    /// A response of bytes or text.
    pub(crate) fn bytes(&mut self, status: u16, media_type: &str) {
        let content = Content::new(Some(bytes()));
        self.change(|operation| operation.response(status.to_string(), ResponseBuilder::new().description("Done").content(media_type, content).build()));
    }

    /// A response without content.
    pub(crate) fn empty(&mut self, status: u16) {
        self.change(|operation| operation.response(status.to_string(), ResponseBuilder::new().description("Done").build()));
    }

    /// The operation and the schemas it speaks of; every route can answer with a problem.
    pub(crate) fn finish(mut self) -> (Operation, BTreeMap<String, RefOr<Schema>>) {
        let content = Content::new(Some(self.schema::<ProblemBody>()));
        let problem = ResponseBuilder::new().description("A problem").content(problem::MEDIA_TYPE, content).build();
        self.change(|operation| operation.response("default", problem));
        (self.operation.build(), self.schemas)
    }

    fn schema<T: ToSchema>(&mut self) -> Ref {
        let mut schemas = vec![(T::name().into_owned(), T::schema())];
        T::schemas(&mut schemas);
        self.schemas.extend(schemas);
        Ref::from_schema_name(T::name())
    }

    fn change(&mut self, change: impl FnOnce(OperationBuilder) -> OperationBuilder) {
        self.operation = change(std::mem::take(&mut self.operation));
    }
}

fn word() -> Object {
    ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).build()
}

fn bytes() -> Object {
    let format = SchemaFormat::KnownFormat(KnownFormat::Binary);
    ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).format(Some(format)).build()
}

/// What a name in a path stands for.
fn about(name: &str) -> &'static str {
    match name {
        "record" => "A record: its id (64 hexadecimal digits), its number, or number@version",
        "attachment" => "Which attachment, from 0",
        "number" => "A record number",
        "version" => "A version of a record",
        "organisation" => "An organisation id",
        "agreement" => "An agreement id",
        "member" => "A log-in name",
        "token" => "A token's id (64 hexadecimal digits)",
        _ => "",
    }
}
