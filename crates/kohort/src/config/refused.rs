//! Settings that Kafka has and Kohort does not act on yet: accepted when they say what happens anyway, else refused by name.
//! A setting is never silently ignored.

use super::ConfigError;

/// One such setting.
pub(crate) struct Refused {
    pub(crate) key: &'static str,
    /// The accepted values, Kafka's default first; `""` stands for null and for an empty list.
    pub(crate) accepted: &'static [&'static str],
}

/// Whether Kafka's type of the setting is PASSWORD: its value is never shown.
fn is_secret(key: &str) -> bool {
    [
        "sasl.jaas.config",
        "ssl.keystore.certificate.chain",
        "ssl.truststore.certificates",
    ]
    .contains(&key)
        || [".password", ".passphrase", ".secret", "keystore.key"]
            .iter()
            .any(|end| key.ends_with(end))
}

const fn only(key: &'static str, accepted: &'static [&'static str]) -> Refused {
    Refused { key, accepted }
}

impl Refused {
    pub(crate) fn check(&self, text: &str) -> Result<(), ConfigError> {
        let text = text.trim();
        let compact: String = text.split(',').map(str::trim).collect::<Vec<_>>().join(",");
        if self
            .accepted
            .iter()
            .any(|accepted| accepted.eq_ignore_ascii_case(&compact))
        {
            return Ok(());
        }
        Err(ConfigError::NotSupportedYet {
            key: self.key,
            value: match is_secret(self.key) {
                // Kafka: Password.HIDDEN
                true => "[hidden]".to_owned(),
                false => text.to_owned(),
            },
            default: self
                .accepted
                .first()
                .copied()
                .filter(|d| !d.is_empty())
                .unwrap_or("null"),
        })
    }
}

/// Of every client.
pub(crate) const COMMON: &[Refused] = &[
    only("client.dns.lookup", &["use_all_dns_ips"]),
    only("config.providers", &[""]),
    // Nothing is pushed, so both values say what happens.
    only("enable.metrics.push", &["true", "false"]),
    only(
        "metric.reporters",
        &["org.apache.kafka.common.metrics.JmxReporter", ""],
    ),
    only("metrics.num.samples", &["2"]),
    only("metrics.recording.level", &["INFO"]),
    only("metrics.sample.window.ms", &["30000"]),
];

/// Of every client: encryption and authentication.
pub(crate) const SECURITY: &[Refused] = &[
    only("sasl.client.callback.handler.class", &[""]),
    only("sasl.jaas.config", &[""]),
    only("sasl.kerberos.kinit.cmd", &["/usr/bin/kinit"]),
    only("sasl.kerberos.min.time.before.relogin", &["60000"]),
    only("sasl.kerberos.service.name", &[""]),
    only("sasl.kerberos.ticket.renew.jitter", &["0.05"]),
    only("sasl.kerberos.ticket.renew.window.factor", &["0.8"]),
    only("sasl.login.callback.handler.class", &[""]),
    only("sasl.login.class", &[""]),
    only("sasl.login.connect.timeout.ms", &[""]),
    only("sasl.login.read.timeout.ms", &[""]),
    only("sasl.login.refresh.buffer.seconds", &["300"]),
    only("sasl.login.refresh.min.period.seconds", &["60"]),
    only("sasl.login.refresh.window.factor", &["0.8"]),
    only("sasl.login.refresh.window.jitter", &["0.05"]),
    only("sasl.login.retry.backoff.max.ms", &["10000"]),
    only("sasl.login.retry.backoff.ms", &["100"]),
    only("sasl.mechanism", &["GSSAPI"]),
    only("sasl.oauthbearer.assertion.algorithm", &["RS256"]),
    only("sasl.oauthbearer.assertion.claim.aud", &[""]),
    only("sasl.oauthbearer.assertion.claim.exp.seconds", &["300"]),
    only("sasl.oauthbearer.assertion.claim.iss", &[""]),
    only("sasl.oauthbearer.assertion.claim.jti.include", &["false"]),
    only("sasl.oauthbearer.assertion.claim.nbf.seconds", &["60"]),
    only("sasl.oauthbearer.assertion.claim.sub", &[""]),
    only("sasl.oauthbearer.assertion.file", &[""]),
    only("sasl.oauthbearer.assertion.private.key.file", &[""]),
    only("sasl.oauthbearer.assertion.private.key.passphrase", &[""]),
    only("sasl.oauthbearer.assertion.template.file", &[""]),
    only("sasl.oauthbearer.client.credentials.client.id", &[""]),
    only("sasl.oauthbearer.client.credentials.client.secret", &[""]),
    only("sasl.oauthbearer.clock.skew.seconds", &["30"]),
    only("sasl.oauthbearer.expected.audience", &[""]),
    only("sasl.oauthbearer.expected.issuer", &[""]),
    only("sasl.oauthbearer.header.urlencode", &["false"]),
    only("sasl.oauthbearer.jwks.endpoint.refresh.ms", &["3600000"]),
    only("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", &["10000"]),
    only("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", &["100"]),
    only("sasl.oauthbearer.jwks.endpoint.url", &[""]),
    only(
        "sasl.oauthbearer.jwt.retriever.class",
        &["org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever"],
    ),
    only(
        "sasl.oauthbearer.jwt.validator.class",
        &["org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator"],
    ),
    only("sasl.oauthbearer.scope", &[""]),
    only("sasl.oauthbearer.scope.claim.name", &["scope"]),
    only("sasl.oauthbearer.sub.claim.name", &["sub"]),
    only("sasl.oauthbearer.token.endpoint.url", &[""]),
    only("security.protocol", &["PLAINTEXT"]),
    only("security.providers", &[""]),
    only("ssl.cipher.suites", &[""]),
    only("ssl.enabled.protocols", &["TLSv1.2,TLSv1.3"]),
    only("ssl.endpoint.identification.algorithm", &["https"]),
    only("ssl.engine.factory.class", &[""]),
    only("ssl.key.password", &[""]),
    only("ssl.keymanager.algorithm", &["SunX509"]),
    only("ssl.keystore.certificate.chain", &[""]),
    only("ssl.keystore.key", &[""]),
    only("ssl.keystore.location", &[""]),
    only("ssl.keystore.password", &[""]),
    only("ssl.keystore.type", &["JKS"]),
    only("ssl.protocol", &["TLSv1.3"]),
    only("ssl.provider", &[""]),
    only("ssl.secure.random.implementation", &[""]),
    only("ssl.trustmanager.algorithm", &["PKIX"]),
    only("ssl.truststore.certificates", &[""]),
    only("ssl.truststore.location", &[""]),
    only("ssl.truststore.password", &[""]),
    only("ssl.truststore.type", &["JKS"]),
];

/// Of a consumer.
pub(crate) const CONSUMER: &[Refused] = &[
    // The classes are checked against the Rust types when the consumer is built.
    only("key.deserializer", &[]),
    only("value.deserializer", &[]),
    only("group.protocol", &["classic"]),
    only("group.remote.assignor", &[""]),
    only("interceptor.classes", &[""]),
    only("internal.throw.on.fetch.stable.offset.unsupported", &["false"]),
    only("isolation.level", &["read_uncommitted"]),
    only("share.acknowledgement.mode", &["implicit"]),
    only("share.acquire.mode", &["batch_optimized"]),
];

/// Of a producer.
pub(crate) const PRODUCER: &[Refused] = &[
    only("key.serializer", &[]),
    only("value.serializer", &[]),
    only("interceptor.classes", &[""]),
    only("partitioner.class", &[""]),
    only("partitioner.ignore.keys", &["false"]),
    only("partitioner.adaptive.partitioning.enable", &["true", "false"]),
    only("partitioner.availability.timeout.ms", &["0"]),
    only("transaction.two.phase.commit.enable", &["false"]),
    only("transactional.id", &[""]),
    only("transaction.timeout.ms", &["60000"]),
    only("metadata.max.idle.ms", &["300000"]),
];

/// Of an admin client.
pub(crate) const ADMIN: &[Refused] = &[
    only("bootstrap.controllers", &[""]),
    // The time of a call bounds how often it is tried.
    only("retries", &["2147483647"]),
];
