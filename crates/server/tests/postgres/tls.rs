//! TLS to the database, with a certificate of the test's own.

use std::path::Path;
use std::process::Command;

use tandem_server::store::PostgresStore;
use tandem_server::store::postgres::{OpenError, Why};
use tandem_server::testing::Cluster;

use crate::at;

/// Makes a certificate authority and a server's certificate for `localhost` in a folder.
fn certificates(folder: &Path) {
    let openssl = |words: &str| {
        let output = Command::new("openssl").args(words.split(' ')).current_dir(folder).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=authority"));
    openssl(&format!("req -new {key} -keyout server.key -out server.csr -subj /CN=database"));
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost").unwrap();
    openssl(
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
         -extfile names -out server.crt",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn connections_are_encrypted_and_certificates_looked_at_as_wished() {
    let mut cluster = Cluster::start();
    cluster.database("tandem");
    let port = cluster.port();
    let address =
        |host: &str, query: &str| at(format!("postgres://tandem@{host}:{port}/tandem?{query}"));
    let plain = PostgresStore::open(&address("127.0.0.1", "sslmode=require")).await;
    assert!(plain.unwrap_err().to_string().contains("TLS"), "this one has none");
    PostgresStore::open(&address("127.0.0.1", "sslmode=prefer")).await.unwrap();

    let folder = tempfile::TempDir::new().unwrap();
    certificates(folder.path());
    cluster.install("server.key", &std::fs::read(folder.path().join("server.key")).unwrap());
    cluster.install("server.crt", &std::fs::read(folder.path().join("server.crt")).unwrap());
    cluster.sql("postgres", "ALTER SYSTEM SET ssl = on");
    cluster.stop();
    cluster.install("pg_hba.conf", b"local all all trust\nhostssl all all 127.0.0.1/32 trust\n");
    cluster.run();
    let roots = folder.path().join("ca.pem");
    let roots = roots.to_str().unwrap();
    for query in [
        "sslmode=prefer".to_owned(),
        "sslmode=require".to_owned(),
        format!("sslmode=verify-full&sslrootcert={roots}"),
        format!("sslmode=require&sslrootcert={roots}"),
    ] {
        PostgresStore::open(&address("localhost", &query)).await.expect(&query);
    }
    for (why, host, query) in [
        (Why::NeedsTls, "localhost", "sslmode=disable".to_owned()),
        // Nobody vouches for it.
        (Why::Certificate, "localhost", "sslmode=verify-full".to_owned()),
        // It has another name.
        (Why::Certificate, "127.0.0.1", format!("sslmode=verify-full&sslrootcert={roots}")),
    ] {
        let error = PostgresStore::open(&address(host, &query)).await.unwrap_err();
        let OpenError::Unreachable { why: found, .. } = &error else { panic!("{error}") };
        assert_eq!(*found, why, "{query}: {error}");
    }
    // An authority is no server.
    cluster.install("server.key", &std::fs::read(folder.path().join("ca.key")).unwrap());
    cluster.install("server.crt", &std::fs::read(folder.path().join("ca.pem")).unwrap());
    cluster.stop();
    cluster.run();
    let query = format!("sslmode=verify-full&sslrootcert={roots}");
    let error = PostgresStore::open(&address("localhost", &query)).await.unwrap_err();
    let is_told = matches!(error, OpenError::Unreachable { why: Why::AuthoritysCertificate, .. });
    assert!(is_told, "{error}");
    let no_file = address("localhost", "sslmode=verify-full&sslrootcert=/nowhere");
    let error = PostgresStore::open(&no_file).await.unwrap_err();
    assert!(matches!(error, OpenError::Tls { .. }), "{error}");
}
