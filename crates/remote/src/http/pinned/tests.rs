use std::time::Duration;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd,
};

use super::*;

/// A certificate of its own authority, valid in the years 2000 to 2009.
fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(2010, 1, 1);
    params
}

fn own(names: &[&str]) -> Certificate {
    params(names).self_signed(&KeyPair::generate().unwrap()).unwrap()
}

const YEAR_SECONDS: u64 = 365 * 24 * 60 * 60;

/// What is said of a certificate that is shown, in the year 2005 if no other.
struct Asked<'a> {
    file: &'a [&'a Certificate],
    shown: &'a Certificate,
    name: &'static str,
    year: u64,
}

impl Asked<'_> {
    fn verdict(self) -> Result<(), Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let file = self.file.iter().map(|certificate| certificate.der().clone()).collect();
        let now =
            UnixTime::since_unix_epoch(Duration::from_secs((self.year - 1970) * YEAR_SECONDS));
        let name = ServerName::try_from(self.name).unwrap();
        let pinned = Pinned::new(file, provider).unwrap();
        pinned.verify_server_cert(self.shown.der(), &[], &name, &[], now).map(|_| ())
    }

    #[track_caller]
    fn refusal(self) -> CertificateError {
        match self.verdict().unwrap_err() {
            Error::InvalidCertificate(error) => error,
            other => panic!("{other:?}"),
        }
    }
}

fn asked<'a>(file: &'a [&'a Certificate], shown: &'a Certificate) -> Asked<'a> {
    Asked { file, shown, name: "home.example", year: 2005 }
}

#[test]
fn the_very_certificate_in_the_file_is_believed_for_its_names() {
    let ours = own(&["home.example", "*.lan.example", "10.0.0.7"]);
    let others = [own(&["a.example"]), own(&["home.example"])];
    assert_eq!(asked(&[&ours], &ours).verdict(), Ok(()));
    assert_eq!(asked(&[&others[0], &ours, &others[1]], &ours).verdict(), Ok(()));
    for name in ["box.lan.example", "10.0.0.7", "HOME.example"] {
        assert_eq!(Asked { name, ..asked(&[&ours], &ours) }.verdict(), Ok(()), "{name}");
    }
    for name in ["home.example.com", "lan.example", "10.0.0.8", "example"] {
        let refusal = Asked { name, ..asked(&[&ours], &ours) }.refusal();
        assert!(matches!(refusal, CertificateError::NotValidForNameContext { .. }), "{refusal:?}");
    }
    let nameless = own(&[]);
    let refusal = asked(&[&nameless], &nameless).refusal();
    assert!(matches!(refusal, CertificateError::NotValidForNameContext { .. }), "{refusal:?}");
}

/// That the library looks at the dates before it finds an authority's certificate.
#[test]
fn only_while_it_is_valid() {
    let ours = own(&["home.example"]);
    let refusal = Asked { year: 1999, ..asked(&[&ours], &ours) }.refusal();
    assert!(matches!(refusal, CertificateError::NotValidYetContext { .. }), "{refusal:?}");
    let refusal = Asked { year: 2011, ..asked(&[&ours], &ours) }.refusal();
    assert!(matches!(refusal, CertificateError::ExpiredContext { .. }), "{refusal:?}");
}

#[test]
fn no_other_certificate_of_an_authority_is_believed() {
    let key = KeyPair::generate().unwrap();
    let ours = params(&["home.example"]).self_signed(&key).unwrap();
    // The same words, signed by another key.
    let forged = own(&["home.example"]);
    assert!(is_authoritys(&asked(&[&ours], &forged).refusal()));
    // The same key: nobody has said yes to these bytes.
    let mut renewed = params(&["home.example"]);
    renewed.not_after = date_time_ymd(2020, 1, 1);
    let renewed = renewed.self_signed(&key).unwrap();
    assert!(is_authoritys(&asked(&[&ours], &renewed).refusal()));
    // An authority below ours: its maker wanted it to sign, not to serve.
    let issuer = Issuer::new(params(&["home.example"]), key);
    let below = params(&["home.example"]);
    let below = below.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
    assert!(is_authoritys(&asked(&[&ours], &below).refusal()));
}

#[test]
fn what_the_library_says_of_all_others_stands() {
    let key = KeyPair::generate().unwrap();
    let authority = params(&[]).self_signed(&key).unwrap();
    let issuer = Issuer::new(params(&[]), key);
    let mut ordinary = params(&["home.example"]);
    ordinary.is_ca = IsCa::NoCa;
    let served = ordinary.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
    assert_eq!(asked(&[&authority], &served).verdict(), Ok(()));
    assert!(Asked { name: "else.example", ..asked(&[&authority], &served) }.verdict().is_err());
    let own_of_mine = own(&["home.example"]);
    // To be in the file helps an authority's certificate only: without its issuer this is nobody's.
    let mut stranger = params(&["stranger"]);
    stranger.distinguished_name.push(rcgen::DnType::CommonName, "stranger");
    let stranger = Issuer::new(stranger, KeyPair::generate().unwrap());
    let foreign = ordinary.signed_by(&KeyPair::generate().unwrap(), &stranger).unwrap();
    let refusal = asked(&[&own_of_mine, &foreign], &foreign).refusal();
    assert_eq!(refusal, CertificateError::UnknownIssuer);
    let damaged = CertificateDer::from(vec![0x30, 0]);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    assert!(Pinned::new(vec![damaged], provider).is_none());
}
