"""The language server with a client library that others wrote (PyPI: pytest-lsp).

Run by tests/lsp.rs; the variable ROLLPROOF names the program, WORKSPACE an empty folder.
"""

import asyncio
import os
import pathlib

import pytest
import pytest_lsp
from lsprotocol import types
from pytest_lsp import ClientServerConfig, LanguageClient, client_capabilities

FOLDER = pathlib.Path(os.environ["WORKSPACE"])
ROLLOUT = FOLDER / "rollout.yaml"
TEMPLATE = FOLDER / "template.yaml"

ROLLOUT_TEXT = """\
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: web
spec:
  selector: {matchLabels: {app: web}}
  strategy:
    canary:
      setps: []
      analysis:
        templates:
          - templateName: errors
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: web}]}
"""

TEMPLATE_TEXT = """\
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: errors}
spec:
  metrics:
    - name: errors
      provider:
        prometheus: {address: http://p, query: up}
"""


@pytest_lsp.fixture(
    config=ClientServerConfig(server_command=[os.environ["ROLLPROOF"], "lsp"]),
)
async def client(lsp_client: LanguageClient):
    ROLLOUT.write_text(ROLLOUT_TEXT)
    TEMPLATE.write_text(TEMPLATE_TEXT)
    parameters = types.InitializeParams(
        capabilities=client_capabilities("visual-studio-code"),
        workspace_folders=[types.WorkspaceFolder(uri=FOLDER.as_uri(), name="w")],
    )
    await lsp_client.initialize_session(parameters)
    yield
    await lsp_client.shutdown_session()


async def opened(client: LanguageClient, path: pathlib.Path, text: str):
    client.text_document_did_open(
        types.DidOpenTextDocumentParams(
            text_document=types.TextDocumentItem(
                uri=path.as_uri(), language_id="yaml", version=1, text=text
            )
        )
    )
    await told(client, path, lambda found: True)
    return types.TextDocumentIdentifier(uri=path.as_uri())


async def told(client: LanguageClient, path: pathlib.Path, holds):
    """The diagnostics of a file as soon as they are as they should be, or as they are after a while.

    Looked at again and again: of notifications that come at once, waiting for one misses the next.
    """
    for _ in range(600):
        found = client.diagnostics.get(path.as_uri())
        if found is not None and holds(found):
            break
        await asyncio.sleep(0.05)
    return client.diagnostics.get(path.as_uri())


@pytest.mark.asyncio
async def test_findings_hover_and_fix(client: LanguageClient):
    document = await opened(client, ROLLOUT, ROLLOUT_TEXT)
    found = client.diagnostics[ROLLOUT.as_uri()]
    unknown = [it for it in found if it.code == "unknown-field"]
    assert [it.range.start.line for it in unknown] == [8]
    # The template of the other file is found, although it is not open.
    assert not [it for it in found if it.code == "unknown-template"]

    at = types.Position(line=8, character=8)
    hover = await client.text_document_hover_async(
        types.HoverParams(text_document=document, position=at)
    )
    assert "unknown-field" in hover.contents.value

    actions = await client.text_document_code_action_async(
        types.CodeActionParams(
            text_document=document,
            range=unknown[0].range,
            context=types.CodeActionContext(diagnostics=unknown),
        )
    )
    (action,) = [it for it in actions if it.kind == types.CodeActionKind.QuickFix]
    (edit,) = action.edit.changes[ROLLOUT.as_uri()]
    assert edit.new_text == "steps"


@pytest.mark.asyncio
async def test_unsaved_text_wins(client: LanguageClient):
    document = await opened(client, ROLLOUT, ROLLOUT_TEXT)
    client.text_document_did_change(
        types.DidChangeTextDocumentParams(
            text_document=types.VersionedTextDocumentIdentifier(
                uri=document.uri, version=2
            ),
            content_changes=[
                types.TextDocumentContentChangeWholeDocument(
                    text=ROLLOUT_TEXT.replace("setps", "steps")
                )
            ],
        )
    )
    unknown = lambda found: [it for it in found if it.code == "unknown-field"]
    found = await told(client, ROLLOUT, lambda found: not unknown(found))
    assert not unknown(found)


@pytest.mark.asyncio
async def test_completion(client: LanguageClient):
    document = await opened(client, ROLLOUT, ROLLOUT_TEXT)

    async def labels(line: int, character: int):
        items = await client.text_document_completion_async(
            types.CompletionParams(
                text_document=document,
                position=types.Position(line=line, character=character),
            )
        )
        return [it.label for it in items]

    assert await labels(11, 32) == ["errors"]
    fields = await labels(8, 6)
    assert "steps" in fields and "analysis" not in fields
