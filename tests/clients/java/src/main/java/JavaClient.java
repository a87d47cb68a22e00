import io.camunda.zeebe.client.ZeebeClient;
import io.camunda.zeebe.client.api.ZeebeFuture;
import io.camunda.zeebe.client.api.response.ProcessInstanceResult;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** The workflow of README.md with the Java client. Arguments: phase, path of process.bpmn. */
public final class JavaClient {
  private static final Duration PATIENCE = Duration.ofSeconds(60);

  private JavaClient() {}

  public static void main(final String[] arguments) throws Exception {
    try (ZeebeClient client =
        ZeebeClient.newClientBuilder()
            .gatewayAddress(System.getenv("ZEEBE_ADDRESS"))
            .usePlaintext()
            .defaultRequestTimeout(PATIENCE)
            .build()) {
      if (arguments[0].equals("before")) {
        before(client, arguments[1]);
      } else {
        after(client);
      }
    }
  }

  private static void before(final ZeebeClient client, final String process) throws Exception {
    client.newTopologyRequest().send().join();
    client.newDeployResourceCommand().addResourceFile(process).send().join();
    for (int order = 1; order <= 3; order++) {
      client
          .newCreateInstanceCommand()
          .bpmnProcessId("client-tour")
          .latestVersion()
          .variables(Map.of("order", order))
          .send()
          .join();
    }
    work(client, "first-step", List.of(1, 2, 3));
  }

  private static void after(final ZeebeClient client) throws Exception {
    for (int order = 1; order <= 3; order++) {
      publish(client, order);
    }
    work(client, "second-step", List.of(1, 2, 3));
    final ZeebeFuture<ProcessInstanceResult> result =
        client
            .newCreateInstanceCommand()
            .bpmnProcessId("client-tour")
            .latestVersion()
            .variables(Map.of("order", 4))
            .withResult()
            .requestTimeout(PATIENCE)
            .send();
    result.exceptionally(
        refusal -> {
          // Else the jobs that do not come would be all that is seen.
          refusal.printStackTrace();
          return null;
        });
    work(client, "first-step", List.of(4));
    publish(client, 4);
    work(client, "second-step", List.of(4));
    final Map<String, Object> variables = result.join().getVariablesAsMap();
    if (!Boolean.TRUE.equals(variables.get("second-step"))) {
      throw new IllegalStateException("unexpected result " + variables);
    }
  }

  private static void publish(final ZeebeClient client, final int order) {
    client.newPublishMessageCommand().messageName("paid").correlationKey(String.valueOf(order)).send().join();
  }

  /** Completes one job for each of these orders. */
  private static void work(final ZeebeClient client, final String type, final List<Integer> expected)
      throws InterruptedException {
    final List<Integer> orders = new CopyOnWriteArrayList<>();
    final CountDownLatch left = new CountDownLatch(expected.size());
    try (var worker =
        client
            .newWorker()
            .jobType(type)
            .handler(
                (jobs, job) -> {
                  jobs.newCompleteCommand(job).variables(Map.of(type, true)).send().join();
                  orders.add((Integer) job.getVariablesAsMap().get("order"));
                  left.countDown();
                })
            .maxJobsActive(expected.size())
            .timeout(PATIENCE)
            .open()) {
      if (!left.await(PATIENCE.toSeconds(), TimeUnit.SECONDS)) {
        throw new IllegalStateException("expected jobs of " + expected + ", got " + orders);
      }
    }
    if (!orders.stream().sorted().toList().equals(expected)) {
      throw new IllegalStateException("expected jobs of " + expected + ", got " + orders);
    }
  }
}
