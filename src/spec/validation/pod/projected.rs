//! Projected volumes: several sources in one folder.

use std::collections::BTreeSet;

use super::node::{Node, invalid_each};
use super::volume::{validate_file, validate_key, validate_local_path, validate_mode};
use crate::spec::go_text;
use crate::spec::validation::field::{FieldError, Path};
use crate::spec::validation::selector::validate_label_selector;
use crate::spec::validation::syntax;

const KEY_TYPES: [&str; 6] = [
    "RSA3072",
    "RSA4096",
    "ECDSAP256",
    "ECDSAP384",
    "ECDSAP521",
    "ED25519",
];
const CERTIFICATE_PATHS: [&str; 3] = ["credentialBundlePath", "keyPath", "certificateChainPath"];

pub(super) fn validate_projected(volume: &Node<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    errors.extend(validate_mode(volume, "defaultMode"));
    let mut paths = BTreeSet::new();
    let conflict = |value: &str| {
        volume
            .own_path()
            .invalid(value, "conflicting duplicate paths")
    };
    for source in volume.items("sources") {
        let mut source_count = 0;
        for kind in ["secret", "configMap"] {
            let Some(projection) = source.child(kind) else {
                continue;
            };
            source_count += 1;
            errors.extend(projection.require("name"));
            for item in projection.items("items") {
                errors.extend(validate_key(&item));
                let path = item.text("path");
                if !path.is_empty() && !paths.insert(path) {
                    errors.push(conflict(projection.text("name")));
                }
            }
        }
        if let Some(projection) = source.child("downwardAPI") {
            source_count += 1;
            for file in projection.items("items") {
                errors.extend(validate_file(&file, projection.own_path()));
                let path = file.text("path");
                if !path.is_empty() && !paths.insert(path) {
                    errors.push(conflict(path));
                }
            }
        }
        if let Some(token) = source.child("serviceAccountToken") {
            source_count += 1;
            errors.extend(validate_token(volume, &token));
        }
        if let Some(bundle) = source.child("clusterTrustBundle") {
            source_count += 1;
            errors.extend(validate_trust_bundle(&bundle));
            let path = bundle.text("path");
            if !paths.insert(path) {
                errors.push(conflict(path));
            }
        }
        if let Some(certificate) = source.child("podCertificate") {
            source_count += 1;
            errors.extend(validate_certificate(&certificate));
            for field in CERTIFICATE_PATHS {
                let path = certificate.text(field);
                if !path.is_empty() && !paths.insert(path) {
                    errors.push(conflict(path));
                }
            }
        }
        if source_count > 1 {
            errors.push(
                source
                    .own_path()
                    .forbidden("may not specify more than 1 volume type per source"),
            );
        }
    }
    errors
}

/// Kubernetes reports the path at the volume. An absent expiration becomes an hour by default.
fn validate_token(volume: &Node<'_>, token: &Node<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let at_expiration = token.path("expirationSeconds");
    if let Some(seconds) = token.int("expirationSeconds") {
        if seconds < 600 {
            errors.push(
                at_expiration.invalid(seconds, "may not specify a duration less than 10 minutes"),
            );
        }
        if seconds > 1 << 32 {
            errors.push(at_expiration.invalid(
                seconds,
                "may not specify a duration larger than 2^32 seconds",
            ));
        }
    }
    let at_path = volume.path("path");
    match token.text("path") {
        "" => errors.push(at_path.required("")),
        path => errors.extend(validate_local_path(path, &at_path)),
    }
    errors
}

fn validate_trust_bundle(bundle: &Node<'_>) -> Vec<FieldError> {
    let own_path = bundle.own_path();
    let mut errors = Vec::new();
    match (bundle.get_text("name"), bundle.get_text("signerName")) {
        (Some(_), Some(_)) => {
            let detail = "only one of name and signerName may be used";
            errors.push(own_path.invalid(bundle.value(), detail));
        }
        (Some(name), None) => {
            let path = bundle.path("name");
            if name.is_empty() {
                errors.push(path.required("must be a valid object name"));
            }
            // A bundle of a signer is named after it, with colons.
            let own_name = name.rsplit_once(':').map_or(name, |(_, own_name)| own_name);
            let details = syntax::dns_subdomain(own_name).into_iter();
            let details =
                details.map(|detail| format!("not a valid clustertrustbundlename: {detail}"));
            errors.extend(invalid_each(&path, name, details));
            if let Some(selector) = bundle.get("labelSelector") {
                let detail = "labelSelector must be unset if name is specified";
                errors.push(bundle.path("labelSelector").invalid(selector, detail));
            }
        }
        (None, Some(signer)) => {
            let path = bundle.path("signerName");
            if signer.is_empty() {
                errors.push(path.required("must be a valid signer name"));
            }
            errors.extend(validate_signer(signer, &path));
            if let Some(selector) = bundle.selector("labelSelector") {
                let path = bundle.path("labelSelector");
                errors.extend(validate_label_selector(&selector, &path));
            }
        }
        (None, None) => {
            errors.push(own_path.required("either name or signerName must be specified"));
        }
    }
    errors.extend(bundle.require("path"));
    errors.extend(validate_local_path(
        bundle.text("path"),
        &bundle.path("path"),
    ));
    errors
}

fn validate_certificate(certificate: &Node<'_>) -> Vec<FieldError> {
    let signer = certificate.text("signerName");
    let mut errors = validate_signer(signer, &certificate.path("signerName"));
    let kind = certificate.text("keyType");
    if !KEY_TYPES.contains(&kind) {
        errors.push(certificate.path("keyType").not_supported(kind, &KEY_TYPES));
    }
    if let Some(seconds) = certificate.int("maxExpirationSeconds") {
        let path = certificate.path("maxExpirationSeconds");
        if seconds < 3600 {
            let detail = "if provided, maxExpirationSeconds must be >= 3600";
            errors.push(path.invalid(seconds, detail));
        }
        let host = signer.split_once('/').map_or(signer, |(host, _)| host);
        let is_of_kubernetes = host == "kubernetes.io" || host.ends_with(".kubernetes.io");
        let days = if is_of_kubernetes { 1 } else { 91 };
        let most = days * 24 * 60 * 60;
        if seconds > most {
            let detail = format!("if provided, maxExpirationSeconds must be <= {most}");
            errors.push(path.invalid(seconds, detail));
        }
    }
    let mut has_path = false;
    for field in CERTIFICATE_PATHS {
        let path = certificate.text(field);
        if !path.is_empty() {
            has_path = true;
            errors.extend(validate_local_path(path, &certificate.path(field)));
        }
    }
    if !has_path {
        let detail =
            "specify at least one of credentialBundlePath, keyPath, and certificateChainPath";
        errors.push(certificate.own_path().required(detail));
    }
    errors
}

/// `example.com/name` (`ValidateSignerName` of the API's validation of names).
fn validate_signer(name: &str, path: &Path) -> Vec<FieldError> {
    if name.is_empty() {
        return vec![path.required("")];
    }
    let parts: Vec<&str> = name.split('/').collect();
    let [domain, own] = parts.as_slice() else {
        let detail =
            "must be a fully qualified domain and path of the form 'example.com/signer-name'";
        return vec![path.invalid(name, detail)];
    };
    let mut errors = Vec::new();
    if domain.len() > 253 {
        errors.push(path.too_long(253));
    }
    // Only the first part that is wrong is told.
    let mut first_wrong = |text: &str, check: fn(&str) -> Vec<String>| {
        let wrong = text.split('.').find(|part| !check(part).is_empty());
        let details = wrong.into_iter().flat_map(|part| {
            let quoted = go_text::quote(part);
            check(part)
                .into_iter()
                .map(move |detail| format!("validating label {quoted}: {detail}"))
        });
        errors.extend(invalid_each(path, text, details));
    };
    first_wrong(domain, syntax::dns_label);
    first_wrong(own, syntax::dns_subdomain);
    if !domain.contains('.') {
        let detail = "should be a domain with at least two segments separated by dots";
        errors.push(path.invalid(domain, detail));
    }
    if name.len() > 571 {
        errors.push(path.too_long(571));
    }
    errors
}
