//! `rollproof lsp`: findings, documentation, fixes and completion in editors.

mod complete;
mod convert;
mod fields;
mod hover;
mod workspace;

use std::io;

use clap::Args;
use lsp_server::{Connection, ErrorCode, Message, Notification, Request, Response};
use lsp_types::notification::{
    DidChangeTextDocument, DidChangeWatchedFiles, DidCloseTextDocument, DidOpenTextDocument,
    DidSaveTextDocument, Notification as _, PublishDiagnostics,
};
use lsp_types::request::{CodeActionRequest, Completion, HoverRequest, Request as _};
use lsp_types::{
    CodeActionKind, CodeActionOptions, CodeActionParams, CodeActionProviderCapability,
    CompletionOptions, CompletionParams, DidChangeTextDocumentParams, DidCloseTextDocumentParams,
    DidOpenTextDocumentParams, HoverParams, HoverProviderCapability, PublishDiagnosticsParams,
    SaveOptions, ServerCapabilities, TextDocumentSyncCapability, TextDocumentSyncKind,
    TextDocumentSyncOptions, TextDocumentSyncSaveOptions,
};
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use super::Outcome;
use workspace::Workspace;

/// Serve editors: the language server protocol on standard input and output.
#[derive(Debug, Args)]
#[command(after_help = "Example, for Neovim:
  vim.lsp.start({ name = 'rollproof', cmd = { 'rollproof', 'lsp' }, root_dir = vim.fn.getcwd() })")]
pub(super) struct Arguments {
    /// Editors give this flag; there is no other way.
    #[arg(long, hide = true)]
    stdio: bool,
}

pub(super) fn run(arguments: &Arguments) -> io::Result<Outcome> {
    let Arguments { stdio: _ } = arguments;
    let (connection, threads) = Connection::stdio();
    let capabilities = serde_json::to_value(capabilities())?;
    let started = match connection.initialize_start() {
        Ok((id, parameters)) => {
            let result = json!({
                "capabilities": capabilities,
                "serverInfo": {"name": "rollproof", "version": env!("CARGO_PKG_VERSION")},
            });
            connection
                .initialize_finish(id, result)
                .map(|()| parameters)
        }
        Err(error) => Err(error),
    };
    let outcome = match started {
        Ok(parameters) => serve(&connection, parameters),
        // The editor went away.
        Err(error) if error.channel_is_disconnected() => Ok(()),
        Err(error) => Err(io::Error::other(error.to_string())),
    };
    drop(connection);
    threads.join()?;
    outcome.map(|()| Outcome::Clean)
}

fn capabilities() -> ServerCapabilities {
    ServerCapabilities {
        text_document_sync: Some(TextDocumentSyncCapability::Options(
            TextDocumentSyncOptions {
                open_close: Some(true),
                change: Some(TextDocumentSyncKind::FULL),
                save: Some(TextDocumentSyncSaveOptions::SaveOptions(SaveOptions {
                    include_text: Some(false),
                })),
                ..TextDocumentSyncOptions::default()
            },
        )),
        hover_provider: Some(HoverProviderCapability::Simple(true)),
        completion_provider: Some(CompletionOptions {
            trigger_characters: Some(vec![" ".to_owned()]),
            ..CompletionOptions::default()
        }),
        code_action_provider: Some(CodeActionProviderCapability::Options(CodeActionOptions {
            code_action_kinds: Some(vec![CodeActionKind::QUICKFIX]),
            ..CodeActionOptions::default()
        })),
        ..ServerCapabilities::default()
    }
}

fn serve(connection: &Connection, parameters: Json) -> io::Result<()> {
    let parameters: convert::Opened = serde_json::from_value(parameters)?;
    let mut workspace = Workspace::new(convert::folders(&parameters));
    workspace.read_folders();
    publish(connection, &mut workspace)?;
    for message in &connection.receiver {
        match message {
            Message::Request(request) => {
                match connection.handle_shutdown(&request) {
                    Ok(true) => return Ok(()),
                    Ok(false) => {}
                    Err(error) => return Err(io::Error::other(error.to_string())),
                }
                publish(connection, &mut workspace)?;
                send(connection, Message::Response(answer(&workspace, request)))?;
            }
            Message::Notification(notification) => {
                if notification.method == "exit" {
                    return Ok(());
                }
                take(&mut workspace, notification);
            }
            // Nothing was asked of the editor.
            Message::Response(_) => {}
        }
        // What is still to be read may change the text again.
        if connection.receiver.is_empty() {
            publish(connection, &mut workspace)?;
        }
    }
    Ok(())
}

fn answer(workspace: &Workspace, request: Request) -> Response {
    let Request { id, method, params } = request;
    let result = match method.as_str() {
        HoverRequest::METHOD => read(params, |it: HoverParams| {
            let at = it.text_document_position_params;
            json!(hover::hover(workspace, &at.text_document.uri, at.position))
        }),
        CodeActionRequest::METHOD => read(params, |it: CodeActionParams| {
            json!(convert::actions(workspace, &it.text_document.uri, it.range))
        }),
        Completion::METHOD => read(params, |it: CompletionParams| {
            let at = it.text_document_position;
            json!(complete::complete(
                workspace,
                &at.text_document.uri,
                at.position
            ))
        }),
        _ => {
            let code = ErrorCode::MethodNotFound as i32;
            return Response::new_err(id, code, format!("{method} is not offered"));
        }
    };
    match result {
        Ok(result) => Response::new_ok(id, result),
        Err(error) => Response::new_err(id, ErrorCode::InvalidParams as i32, error.to_string()),
    }
}

/// Takes a change; what cannot be read is left out, as the protocol says of notifications.
fn take(workspace: &mut Workspace, notification: Notification) {
    let Notification { method, params } = notification;
    let taken = match method.as_str() {
        DidOpenTextDocument::METHOD => read(params, |it: DidOpenTextDocumentParams| {
            let document = it.text_document;
            workspace.open(&document.uri, document.text, document.version);
        }),
        DidChangeTextDocument::METHOD => read(params, |mut it: DidChangeTextDocumentParams| {
            if let Some(change) = it.content_changes.pop() {
                let document = it.text_document;
                workspace.open(&document.uri, change.text, document.version);
            }
        }),
        DidCloseTextDocument::METHOD => read(params, |it: DidCloseTextDocumentParams| {
            workspace.close(&it.text_document.uri);
        }),
        DidSaveTextDocument::METHOD | DidChangeWatchedFiles::METHOD => {
            workspace.read_folders();
            Ok(())
        }
        _ => Ok(()),
    };
    if let Err(error) = taken {
        eprintln!("{method}: {error}");
    }
}

fn read<P: DeserializeOwned, R>(params: Json, act: impl FnOnce(P) -> R) -> serde_json::Result<R> {
    serde_json::from_value(params).map(act)
}

/// Checks what has changed and sends the findings of all files that have or had some.
fn publish(connection: &Connection, workspace: &mut Workspace) -> io::Result<()> {
    if !workspace.check() {
        return Ok(());
    }
    for (uri, diagnostics, version) in convert::diagnostics(workspace) {
        let parameters = PublishDiagnosticsParams {
            uri,
            diagnostics,
            version,
        };
        let method = PublishDiagnostics::METHOD.to_owned();
        let notification = Notification::new(method, parameters);
        send(connection, Message::Notification(notification))?;
    }
    Ok(())
}

fn send(connection: &Connection, message: Message) -> io::Result<()> {
    let sent = connection.sender.send(message);
    sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
}
