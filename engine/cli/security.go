package cli

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"

	"github.com/hibana-engine/hibana/engine/security"
	"github.com/hibana-engine/hibana/engine/wire"
)

// SecurityFlags are the flags with which every command of a cluster is told how
// its processes know each other.
type SecurityFlags struct {
	TokenFile string
	TLS       wire.TLSFiles
}

// AddTo adds the flags to a command's.
func (s *SecurityFlags) AddTo(f *flag.FlagSet) {
	f.StringVar(&s.TokenFile, "token-file", s.TokenFile, "`file` of mode 0600 with the token that the processes of one cluster share on loopback (default: $HIBANA_TOKEN_FILE or ~/.hibana/token; with --tls-… none)")
	f.StringVar(&s.TLS.CA, "tls-ca", s.TLS.CA, "`file` with the certificate authority of the cluster, in PEM; engine-submit certs makes one")
	f.StringVar(&s.TLS.Cert, "tls-cert", s.TLS.Cert, "`file` with this machine's certificate, in PEM")
	f.StringVar(&s.TLS.Key, "tls-key", s.TLS.Key, "`file` with the certificate's key, in PEM")
}

// Load returns what the flags say: certificates, or else a token. A daemon makes
// the token file if there is none; others get an error.
func (s SecurityFlags) Load(daemon bool) (security.Security, error) {
	if s.TLS != (wire.TLSFiles{}) {
		if s.TokenFile != "" {
			return security.Security{}, fmt.Errorf("%w: --token-file and --tls-… exclude each other: processes of one cluster know each other by certificates, or on loopback by a token",
				wire.ErrInvalid)
		}
		return security.LoadTLS(s.TLS)
	}
	path := s.TokenFile
	if path == "" {
		path = security.DefaultTokenFile()
	}
	if !daemon {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return security.Security{}, fmt.Errorf("reading the token file %s: %w; the daemons of a cluster on this machine make it when they start: do they run, as this user? Name another one with --token-file, or give --tls-ca, --tls-cert and --tls-key",
				path, fs.ErrNotExist)
		}
	}
	token, err := security.LoadToken(path)
	return security.Security{}.WithToken(token), err
}
