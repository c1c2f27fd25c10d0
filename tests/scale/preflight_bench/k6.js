// Open-loop load on a model over gRPC, at equal distances in time.
// The executor starts an iteration when it is due, whether or not earlier ones have ended, as long as a virtual user is
// free; where none is, it counts a dropped iteration, which the benchmark does not accept.
import { Counter } from 'k6/metrics';
import grpc from 'k6/net/grpc';

const client = new grpc.Client();
client.loadProtoset(__ENV.PROTOSET);
const request = JSON.parse(open(__ENV.REQUEST));
const failed = new Counter('failed_requests');
let connected = false;

export const options = {
  systemTags: [],
  summaryMode: 'disabled',
  scenarios: {
    load: {
      executor: 'constant-arrival-rate',
      rate: Number(__ENV.RATE),
      timeUnit: '1s',
      duration: `${__ENV.SECONDS}s`,
      preAllocatedVUs: Number(__ENV.USERS),
      gracefulStop: '10s',
    },
  },
};

export default function () {
  if (!connected) {
    client.connect(__ENV.TARGET, { plaintext: true });
    connected = true;
  }
  const response = client.invoke('inference.GRPCInferenceService/ModelInfer', request, { timeout: '5s' });
  if (response.status !== grpc.StatusOK) {
    failed.add(1);
  }
}
