package client

import (
	"time"

	"github.com/hibana-engine/hibana/engine/rpc"
	"github.com/hibana-engine/hibana/engine/security"
)

// Times that a Client keeps to.
const (
	// DefaultPatience is how long a call goes on without a leader.
	DefaultPatience = 30 * time.Second

	quiet      = time.Second     // without a leader before Config.Waiting is told
	attempt    = 5 * time.Second // for one answer of a driver that is asked
	longAnswer = time.Minute     // for the answer to a whole submission
)

// Config says where a cluster is and how to get in.
type Config struct {
	// Master lists addresses of engine-drivers, host:port separated by commas.
	// One that runs is enough; all of them survive the death of any.
	Master   string
	Security security.Security
	Patience time.Duration // how long a call goes on without a leader; 0 is DefaultPatience
	// Waiting is told why a call has got no answer, once, when it has waited for
	// a second. It may be nil. It is called on the goroutine of the call.
	Waiting func(error)
}

// Client talks to a cluster. It is safe for concurrent use.
type Client struct {
	cluster  *rpc.Cluster
	patience time.Duration
	waiting  func(error)
}

// New returns a Client. Nothing is connected yet.
func New(c Config) (*Client, error) {
	cluster, err := rpc.NewCluster(c.Master, c.Security)
	if err != nil {
		return nil, err
	}
	client := &Client{cluster: cluster, patience: c.Patience, waiting: c.Waiting}
	if client.patience <= 0 {
		client.patience = DefaultPatience
	}
	if client.waiting == nil {
		client.waiting = func(error) {}
	}
	return client, nil
}

// Close closes the connections.
func (c *Client) Close() error { return c.cluster.Close() }
