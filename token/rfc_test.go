package token_test

import (
	"errors"
	"testing"
	"time"

	"gatehouse/token"
)

// The examples of RFC 7515 (appendix A) and RFC 8037 (appendix A.4) for the algorithms that are taken here.
func TestSignaturesOfTheRFCs(t *testing.T) {
	const said = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
	for _, c := range []struct{ name, key, head, payload, signature string }{
		{"RFC 7515 A.2, RS256", `{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}`,
			"eyJhbGciOiJSUzI1NiJ9", said,
			"cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"},
		{"RFC 7515 A.3, ES256", `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`,
			"eyJhbGciOiJFUzI1NiJ9", said, "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"},
		{"RFC 8037 A.4, EdDSA", `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
			"eyJhbGciOiJFZERTQSJ9", "RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc", "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"},
	} {
		k, err := token.ParseKey([]byte(c.key))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		s, err := token.Parse(c.head+"."+c.payload+"."+c.signature, token.Asymmetric())
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if _, err := s.Verify([]token.Key{k}); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if s, err = token.Parse(c.head+"."+c.payload+"AA."+c.signature, token.Asymmetric()); err == nil {
			_, err = s.Verify([]token.Key{k})
		}
		if err == nil {
			t.Errorf("%s is taken with another payload", c.name)
		}
	}
	if _, err := token.Parse("eyJhbGciOiJub25lIn0."+said+".", token.Asymmetric()); err == nil {
		t.Error("RFC 7515 A.5, without a signature, is taken")
	}
	if _, err := token.Parse("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."+said+".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", token.Asymmetric()); err == nil {
		t.Error("RFC 7515 A.1, signed with a secret, is taken")
	}
}

// The examples of RFC 7638 (section 3.1), RFC 8037 (appendix A.3) and RFC 9449 (section 6.1): what a key is known by.
func TestThumbprintsOfTheRFCs(t *testing.T) {
	for name, c := range map[string][2]string{
		"RFC 7638": {`{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}`,
			"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"},
		"RFC 8037": {`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"},
		"RFC 9449": {`{"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256"}`, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"},
	} {
		k, err := token.ParseKey([]byte(c[0]))
		if err != nil || k.Thumbprint() != c[1] {
			t.Errorf("%s: %q, %v", name, k.Thumbprint(), err)
		}
	}
}

// The proof of RFC 9449 (section 4.1) is right but for a nonce, which it has none of: that is what is said of it.
func TestProofOfTheRFC(t *testing.T) {
	const proof = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19" +
		".eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ" +
		".2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
	p, now := token.NewProver(), time.Unix(1562262616, 0)
	got, err := p.Read(proof, "POST", "https://server.example.com/token", "", now)
	if !errors.Is(err, token.ErrNonce) || got.Key != "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" || got.ID != "-BwC3ESc6acc2lTc" {
		t.Errorf("%+v, %v", got, err)
	}
	for what, c := range map[string][2]string{"another method": {"GET", "https://server.example.com/token"}, "another address": {"POST", "https://server.example.com/other"}} {
		if _, err := p.Read(proof, c[0], c[1], "", now); !errors.Is(err, token.ErrProof) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
