#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# An authority for tests, made anew by each: root.pem, which is to be trusted; chain.pem, a signer's
# certificate and the one between; key.pem, the signer's key. And what must be refused: see below.
#
#     tests/support/authority.sh FOLDER
set -euo pipefail
cd "$1"

new_key() { # NAME
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"
}

extensions() { # NAME LINES: a file of extensions
    printf '%s\n' 'subjectKeyIdentifier=hash' 'authorityKeyIdentifier=keyid' "${@:2}" >"$1.ext"
}

issue() { # NAME SUBJECT ISSUER DAYS: NAME.pem for NAME.key by NAME.ext
    openssl req -new -key "$1.key" -subj "/O=talkie tests/CN=$2" -out "$1.csr"
    openssl x509 -req -in "$1.csr" -CA "$3.pem" -CAkey "$3.key" -set_serial "0x$(openssl rand -hex 8)" \
        -days "$4" -sha256 -extfile "$1.ext" -out "$1.pem"
}

claims=1.3.6.1.4.1.62558.2.1
authority=('basicConstraints=critical,CA:TRUE' 'keyUsage=critical,keyCertSign,cRLSign')
signer=('basicConstraints=critical,CA:FALSE' 'keyUsage=critical,digitalSignature')
{
    new_key root.key
    openssl req -x509 -new -key root.key -sha256 -days 3650 -subj '/O=talkie tests/CN=root of the tests' \
        -addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign,cRLSign' -out root.pem
    new_key between.key
    extensions between "${authority[@]}"
    issue between 'authority of the tests' root 3650
    new_key key.pem
    cp key.pem leaf.key
    extensions leaf "${signer[@]}" "extendedKeyUsage=$claims,emailProtection"
    issue leaf 'signer of the tests' between 3650
    cat leaf.pem between.pem >chain.pem

    # Each wrong in one way, for the same key.
    cat between.pem leaf.pem >turned.pem
    cat leaf.pem root.pem >broken.pem
    for wrong in expired usage purpose authority any; do cp key.pem $wrong.key; done
    cp leaf.ext expired.ext
    issue expired 'expired signer' between -1
    extensions usage 'basicConstraints=critical,CA:FALSE' 'keyUsage=critical,keyAgreement' "extendedKeyUsage=$claims"
    issue usage 'signer of no signatures' between 3650
    extensions purpose "${signer[@]}" 'extendedKeyUsage=serverAuth'
    issue purpose 'a server' between 3650
    extensions authority "${authority[@]}" "extendedKeyUsage=$claims"
    issue authority 'an authority' between 3650
    extensions any "${signer[@]}" "extendedKeyUsage=$claims,anyExtendedKeyUsage"
    issue any 'a signer of anything' between 3650
    openssl req -x509 -new -key key.pem -sha256 -days 3650 -subj '/CN=nobody' -addext 'keyUsage=digitalSignature' \
        -addext "extendedKeyUsage=$claims" -addext 'basicConstraints=CA:FALSE' -out itself.pem
    new_key other.pem

    # For the same key, and taken: the authority's certificate is signed by SHA-1; the name is long.
    new_key low.key
    extensions low "${authority[@]}"
    openssl req -new -key low.key -subj '/CN=authority by SHA-1' -out low.csr
    openssl x509 -req -in low.csr -CA root.pem -CAkey root.key -set_serial 7 -days 3650 -sha1 -extfile low.ext \
        -out low.pem
    for other in weak long; do cp key.pem $other.key && cp leaf.ext $other.ext; done
    issue weak 'signer below SHA-1' low 3650
    cat weak.pem low.pem >sha1.pem
    openssl req -new -utf8 -key key.pem -subj "/CN=$(printf 'é%.0s' {1..64})" -out long.csr
    openssl x509 -req -in long.csr -CA root.pem -CAkey root.key -set_serial 8 -days 3650 -sha256 -extfile long.ext \
        -out long.pem
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out curve.pem
    openssl pkey -in key.pem -aes256 -passout pass:secret -out locked.pem
    openssl ec -in key.pem -out old.pem # EC PRIVATE KEY
    openssl ec -in key.pem -aes256 -passout pass:secret -out oldlocked.pem
} 2>openssl.log || { cat openssl.log >&2; exit 1; }
