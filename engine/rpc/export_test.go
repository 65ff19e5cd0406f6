package rpc

// What tests look at from outside.
var (
	Strange       = strange
	ClientOptions = clientOptions
)

// TokenHeader is tokenHeader.
const TokenHeader = tokenHeader
