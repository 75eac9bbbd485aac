// The echo of the benchmarks on grpc-go as Debian has it, with the same commands and output as lockstep-echo.
//
// Built without modules from /usr/share/gocode: GO111MODULE=off GOPATH=/usr/share/gocode go build main.go
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"log"
	"math"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// Request and Response are the messages of echo.proto, as protoc-gen-go would write them.
type Request struct {
	Payload []byte `protobuf:"bytes,1,opt,name=payload,proto3"`
}

func (m *Request) Reset()         { *m = Request{} }
func (m *Request) String() string { return "Request" }
func (*Request) ProtoMessage()    {}

type Response struct {
	Payload []byte `protobuf:"bytes,1,opt,name=payload,proto3"`
}

func (m *Response) Reset()         { *m = Response{} }
func (m *Response) String() string { return "Response" }
func (*Response) ProtoMessage()    {}

const (
	service = "lockstep.echo.v1.EchoService"
	unary   = "/" + service + "/Echo"
	pour    = "/" + service + "/Pour"
)

type echo interface{}

func echoHandler(_ interface{}, _ context.Context, decode func(interface{}) error, _ grpc.UnaryServerInterceptor) (interface{}, error) {
	request := new(Request)
	if err := decode(request); err != nil {
		return nil, err
	}
	return &Response{Payload: request.Payload}, nil
}

func pourHandler(_ interface{}, stream grpc.ServerStream) error {
	request := new(Request)
	if err := stream.RecvMsg(request); err != nil {
		return err
	}
	response := &Response{Payload: request.Payload}
	for {
		if err := stream.SendMsg(response); err != nil {
			return err
		}
	}
}

var description = grpc.ServiceDesc{
	ServiceName: service,
	HandlerType: (*echo)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Echo", Handler: echoHandler}},
	Streams:     []grpc.StreamDesc{{StreamName: "Pour", Handler: pourHandler, ServerStreams: true}},
}

// configuration is mutual TLS 1.3 within the deployment's own authority. Identities are URIs, which Go does not look
// for in a server's certificate, so the chain is verified here.
func configuration(state, name string) (*tls.Config, error) {
	certificate, err := tls.LoadX509KeyPair(state+"/certs/"+name+".pem", state+"/certs/"+name+".key")
	if err != nil {
		return nil, err
	}
	authority, err := os.ReadFile(state + "/ca.pem")
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	return &tls.Config{
		Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS13,
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, InsecureSkipVerify: true,
		VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
			if len(raw) == 0 {
				return errors.New("no certificate")
			}
			leaf, err := x509.ParseCertificate(raw[0])
			if err != nil {
				return err
			}
			_, err = leaf.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
			return err
		},
	}, nil
}

func serve(state string) error {
	settings, err := configuration(state, "auth")
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(settings)))
	server.RegisterService(&description, struct{}{})
	return server.Serve(listener)
}

// A histogram with steps of 3 %, like that of lockstep-echo.
type report struct {
	calls  int
	counts [800]int
}

const step = 0.03

func (r *report) add(d time.Duration) {
	r.calls++
	index := int(math.Log(math.Max(float64(d), 1)) / step)
	r.counts[min(index, len(r.counts)-1)]++
}

func (r *report) merge(other *report) {
	r.calls += other.calls
	for i, n := range other.counts {
		r.counts[i] += n
	}
}

func (r *report) quantile(share float64) float64 {
	total := 0
	for _, n := range r.counts {
		total += n
	}
	rank, seen := int(math.Ceil(share*float64(total))), 0
	for i, n := range r.counts {
		seen += n
		if n > 0 && seen >= rank {
			return math.Exp((float64(i)+0.5)*step) / 1000
		}
	}
	return 0
}

func min(a, b int) int {
	if a < b {
		return a
	}
	return b
}

func processCPU() float64 {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1000
}

type plan struct {
	state                                string
	port, connections, outstanding, size int
	seconds                              float64
	stream                               bool
}

func (p plan) run() error {
	settings, err := configuration(p.state, "operator")
	if err != nil {
		return err
	}
	payload := make([]byte, p.size)
	for i := range payload {
		payload[i] = byte(i)
	}
	var connections []*grpc.ClientConn
	for i := 0; i < p.connections; i++ {
		connection, err := grpc.Dial(
			fmt.Sprintf("127.0.0.1:%d", p.port), grpc.WithTransportCredentials(credentials.NewTLS(settings)), grpc.WithBlock())
		if err != nil {
			return err
		}
		connections = append(connections, connection)
	}
	start := time.Now().Add(time.Second)
	end := start.Add(time.Duration(p.seconds * float64(time.Second)))
	var (
		total report
		lock  sync.Mutex
		group sync.WaitGroup
	)
	for _, connection := range connections {
		for i := 0; i < p.outstanding; i++ {
			group.Add(1)
			go func(connection *grpc.ClientConn) {
				defer group.Done()
				part, err := p.calls(connection, payload, start, end)
				if err != nil {
					log.Fatal(err)
				}
				lock.Lock()
				total.merge(part)
				lock.Unlock()
			}(connection)
		}
	}
	time.Sleep(time.Until(start))
	fmt.Println("start")
	before := processCPU()
	time.Sleep(time.Until(end))
	cpu := processCPU() - before
	group.Wait()
	fmt.Printf(
		"{\"calls\": %d, \"seconds\": %f, \"rate\": %f, \"p50_us\": %f, \"p99_us\": %f, \"p999_us\": %f, \"cpu_us\": %f}\n",
		total.calls, p.seconds, float64(total.calls)/p.seconds, total.quantile(0.5), total.quantile(0.99),
		total.quantile(0.999), cpu)
	return nil
}

func (p plan) calls(connection *grpc.ClientConn, payload []byte, start, end time.Time) (*report, error) {
	if p.stream {
		return p.pour(connection, payload, start, end)
	}
	result, request := new(report), &Request{Payload: payload}
	for before := time.Now(); before.Before(end); {
		response := new(Response)
		if err := connection.Invoke(context.Background(), unary, request, response); err != nil {
			return nil, err
		}
		after := time.Now()
		if !before.Before(start) && !after.After(end) {
			result.add(after.Sub(before))
		}
		before = after
	}
	return result, nil
}

func (p plan) pour(connection *grpc.ClientConn, payload []byte, start, end time.Time) (*report, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stream, err := connection.NewStream(ctx, &description.Streams[0], pour)
	if err != nil {
		return nil, err
	}
	if err := stream.SendMsg(&Request{Payload: payload}); err != nil {
		return nil, err
	}
	if err := stream.CloseSend(); err != nil {
		return nil, err
	}
	result := new(report)
	for {
		if err := stream.RecvMsg(new(Response)); err != nil {
			return nil, err
		}
		now := time.Now()
		if !now.Before(end) {
			return result, nil
		}
		if !now.Before(start) {
			result.calls++
		}
	}
}

func main() {
	log.SetFlags(0)
	if len(os.Args) < 2 {
		log.Fatal("grpc-go-echo serve|call")
	}
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	var p plan
	flags.StringVar(&p.state, "state", ".lockstep", "the state directory, with certificates")
	flags.String("peer", "grpc-go", "ignored: there is one peer here")
	flags.IntVar(&p.port, "port", 0, "where the server listens")
	flags.IntVar(&p.connections, "connections", 4, "connections")
	flags.IntVar(&p.outstanding, "outstanding", 64, "calls under way on each of them")
	flags.IntVar(&p.size, "size", 128, "bytes of a message")
	flags.Float64Var(&p.seconds, "seconds", 3, "seconds that are measured, after one that is not")
	flags.Bool("off-loop", false, "ignored")
	flags.BoolVar(&p.stream, "stream", false, "a server's stream instead of calls")
	flags.Parse(os.Args[2:])
	var err error
	switch os.Args[1] {
	case "serve":
		err = serve(p.state)
	case "call":
		err = p.run()
	default:
		err = fmt.Errorf("no command %s", os.Args[1])
	}
	if err != nil {
		log.Fatal(err)
	}
}
