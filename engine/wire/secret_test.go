package wire

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestCheckSecrets(t *testing.T) {
	for _, x := range []struct {
		all  []Secret
		want error
	}{
		{nil, nil},
		{[]Secret{{"KAFKA_PASSWORD", "hunter2"}, {"_2", "x"}}, nil},
		{[]Secret{{"", "hunter2"}}, ErrInvalid},
		{[]Secret{{"2A", "hunter2"}}, ErrInvalid},
		{[]Secret{{"A B", "hunter2"}}, ErrInvalid},
		{[]Secret{{"HIBANA_ROLE", "hunter2"}}, ErrInvalid},
		{[]Secret{{"A", "hunter2"}, {"A", "x"}}, ErrInvalid},
		{[]Secret{{"A", ""}}, ErrInvalid},
		{[]Secret{{"A", "hunter2\x00"}}, ErrInvalid},
		{[]Secret{{"A", "hunter2" + strings.Repeat("x", maxSecretBytes)}}, ErrTooLarge},
		{make33(), ErrTooLarge},
	} {
		err := CheckSecrets(x.all)
		if !errors.Is(err, x.want) || err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v: %v, want %v", x.all, err, x.want)
		}
	}
}

// make33 returns one secret too many.
func make33() (all []Secret) {
	for i := range maxSecrets + 1 {
		all = append(all, Secret{fmt.Sprintf("S%d", i), "x"})
	}
	return all
}

// No way of printing a job prints its secrets' values, and none is shown.
func TestSecretsAreNotPrinted(t *testing.T) {
	spec := JobSpec{Name: "n", Secrets: []Secret{{"PASSWORD", "hunter2"}}}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("a job", "spec", spec, "secrets", spec.Secrets)
	for _, printed := range []string{fmt.Sprint(spec), fmt.Sprintf("%+v", spec), fmt.Sprintf("%#v", spec), fmt.Sprintf("%s", spec.Secrets), log.String()} {
		if strings.Contains(printed, "hunter2") || !strings.Contains(printed, "PASSWORD") {
			t.Errorf("printed: %s", printed)
		}
	}
	if shown := spec.Shown(); len(shown.Secrets) != 1 || shown.Secrets[0] != (Secret{Name: "PASSWORD"}) || spec.Secrets[0].Value != "hunter2" {
		t.Errorf("shown with %+v", shown.Secrets[0].Value)
	}
}
