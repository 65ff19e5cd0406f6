package wire

import (
	"context"

	"google.golang.org/grpc"
)

// DriversServer is what engine-drivers ask the leader among them.
type DriversServer interface {
	// Replace makes the data directory with which a driver was started the one that
	// counts for it. The one before is lost: whoever has it is refused from then on.
	// It may be called again.
	Replace(context.Context, *ReplaceRequest) (*ReplaceAnswer, error)
}

// ReplaceRequest says which directory a driver has now.
type ReplaceRequest struct {
	Node string `msgpack:"node"` // the caller
	Copy string `msgpack:"copy"` // its directory
}

// ReplaceAnswer says that the group knows it.
type ReplaceAnswer struct{}

// RegisterDrivers offers the service.
func RegisterDrivers(r grpc.ServiceRegistrar, s DriversServer) {
	r.RegisterService(Service("Drivers", (*DriversServer)(nil), []grpc.MethodDesc{
		Unary("Replace", DriversServer.Replace),
	}), s)
}

// DriversClient calls the service. A call's deadline is its context's.
type DriversClient struct{ CC grpc.ClientConnInterface }

// Replace calls DriversServer.Replace.
func (c DriversClient) Replace(ctx context.Context, req *ReplaceRequest) (*ReplaceAnswer, error) {
	return Call[ReplaceRequest, ReplaceAnswer](ctx, c.CC, "Drivers/Replace", req)
}
