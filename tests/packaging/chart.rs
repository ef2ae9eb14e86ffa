//! The Helm chart, rendered by our own renderer and, where it is installed, by Helm: both have to
//! come to the same. What comes of it has to agree with itself and with the server.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use super::render::Renderer;
use super::{command_line, packaging, read, root, said, tool, yaml};

fn chart() -> PathBuf {
    packaging().join("helm/raft")
}

fn one(text: &str) -> Value {
    yaml::documents(text).expect("YAML").remove(0)
}

/// Values of an operator on top of the chart's own.
fn merged(base: &mut Value, above: &Value) {
    match (base, above) {
        (Value::Object(base), Value::Object(above)) => {
            for (key, value) in above {
                merged(base.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (base, above) => *base = above.clone(),
    }
}

fn dot(values: &Value) -> Value {
    let mut all = one(&read(&chart().join("values.yaml")));
    merged(&mut all, values);
    let chart = one(&read(&chart().join("Chart.yaml")));
    json!({
        "Values": all,
        "Release": { "Name": "my", "Namespace": "some", "Service": "Helm" },
        "Chart": {
            "Name": chart["name"],
            "Version": chart["version"],
            "AppVersion": chart["appVersion"],
        },
    })
}

/// Each template by its file name, rendered.
fn rendered(values: &Value) -> BTreeMap<String, String> {
    let mut templates = BTreeMap::new();
    let mut renderer = Renderer::default();
    for entry in fs::read_dir(chart().join("templates")).expect("the chart has templates") {
        let entry = entry.expect("a directory entry can be read");
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".tpl") {
            renderer.define(&read(&path)).expect("definitions");
        } else {
            templates.insert(name, read(&path));
        }
    }
    let dot = dot(values);
    let render = |(name, text): (String, String)| {
        let shown = renderer.render(&text, &dot);
        let shown = shown.unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, shown)
    };
    templates.into_iter().map(render).collect()
}

/// The objects that Kubernetes is given, by kind and name.
fn objects(values: &Value) -> BTreeMap<(String, String), Value> {
    let mut objects = BTreeMap::new();
    for (file, text) in rendered(values) {
        if file.ends_with(".txt") {
            continue;
        }
        let documents = yaml::documents(&text);
        let documents = documents.unwrap_or_else(|error| panic!("{file}: {error}\n{text}"));
        for object in documents {
            objects.insert(named(&object), object);
        }
    }
    objects
}

fn named(object: &Value) -> (String, String) {
    let kind = text(&object["kind"]).to_owned();
    (kind, text(&object["metadata"]["name"]).to_owned())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

fn list(value: &Value) -> &[Value] {
    value
        .as_array()
        .unwrap_or_else(|| panic!("no list: {value}"))
}

/// What operators set, so that each branch of each template is taken and not taken.
fn wishes() -> Vec<Value> {
    vec![
        json!({}),
        json!({ "replicas": 1, "serviceAccount": { "create": false } }),
        json!({ "replicas": 5, "extraArgs": ["--max-txn-ops=64"], "image": { "tag": "x" } }),
        json!({ "tls": { "client": { "secret": "c" } } }),
        json!({
            "tls": { "client": { "secret": "c", "certAuth": true }, "peer": { "secret": "p" } },
        }),
        json!({
            "tls": { "peer": { "secret": "p" } },
            "ports": { "client": 12379, "peer": 12380 },
        }),
        json!({
            "imagePullSecrets": [{ "name": "s" }],
            "storage": { "className": "fast", "size": "1Gi" },
            "service": { "type": "LoadBalancer", "annotations": { "a/b": "c" } },
            "serviceAccount": { "name": "n", "annotations": { "d": "e" } },
            "podDisruptionBudget": { "maxUnavailable": 1 },
            "podAnnotations": { "f": "g: h" },
            "nodeSelector": { "disk": "fast" },
            "tolerations": [{ "key": "k", "operator": "Exists" }],
            "affinity": { "nodeAffinity": { "x": [] } },
            "quotaBackendBytes": 8_589_934_592_u64,
            "clusterToken": "t",
        }),
    ]
}

fn set(values: &Value) -> Value {
    objects(values)
        .remove(&("StatefulSet".to_owned(), "my-raft".to_owned()))
        .expect("a set")
}

fn container(set: &Value) -> &Value {
    &list(&set["spec"]["template"]["spec"]["containers"])[0]
}

/// The server's command line in the pod of this name.
fn words(set: &Value, pod: &str) -> Vec<String> {
    let arguments = list(&container(set)["args"]).iter();
    let arguments = arguments.map(|one| text(one).replace("$(POD_NAME)", pod));
    std::iter::once("raft-cli".to_owned())
        .chain(arguments)
        .collect()
}

fn flag<'a>(words: &'a [String], name: &str) -> Option<&'a str> {
    let prefix = format!("--{name}=");
    words.iter().find_map(|word| word.strip_prefix(&prefix))
}

#[test]
fn the_objects_are_those_of_a_cluster() {
    let kinds = |values: &Value| -> Vec<String> {
        let names = objects(values).into_keys();
        names.map(|(kind, name)| format!("{kind} {name}")).collect()
    };
    let all = [
        "PodDisruptionBudget my-raft",
        "Service my-raft",
        "Service my-raft-members",
        "ServiceAccount my-raft",
        "StatefulSet my-raft",
    ];
    assert_eq!(kinds(&json!({})), all);
    // Nobody would ever be allowed to empty the machine of a single member.
    let single = json!({ "replicas": 1, "serviceAccount": { "create": false } });
    let few = [
        "Service my-raft",
        "Service my-raft-members",
        "StatefulSet my-raft",
    ];
    assert_eq!(kinds(&single), few);
}

#[test]
fn helm_comes_to_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("values.json");
    for values in wishes() {
        fs::write(&file, values.to_string()).unwrap();
        let mut helm = Command::new("helm");
        helm.args(["template", "my", "--namespace", "some", "--values"])
            .arg(&file)
            .arg(chart());
        let Some(output) = tool(&mut helm, "the chart is rendered by our own renderer alone")
        else {
            return;
        };
        assert!(output.status.success(), "{values}: {}", said(&output));
        let documents = yaml::documents(&String::from_utf8(output.stdout).unwrap()).unwrap();
        let theirs: BTreeMap<_, _> = documents
            .into_iter()
            .map(|one| (named(&one), one))
            .collect();
        assert_eq!(objects(&values), theirs, "{values}");
    }
}

#[test]
fn what_a_pod_runs_is_understood() {
    for values in wishes() {
        let words = words(&set(&values), "my-raft-0");
        let of = values.to_string();
        command_line::check(&words, &of);
        // Secrets are mounted nowhere here.
        if !words.iter().any(|word| word.contains("/tls/")) {
            command_line::check_server(&words, &of);
        }
    }
}

#[test]
fn all_founders_are_named_as_they_advertise_themselves() {
    for values in wishes() {
        let set = set(&values);
        let replicas = set["spec"]["replicas"].as_u64().unwrap();
        let founders: Vec<String> = (0..replicas)
            .map(|i| {
                let words = words(&set, &format!("my-raft-{i}"));
                let name = flag(&words, "name").unwrap();
                let url = flag(&words, "initial-advertise-peer-urls").unwrap();
                let domain = format!("://my-raft-{i}.my-raft-members.some.svc:");
                assert!(url.contains(&domain), "{url}");
                format!("{name}={url}")
            })
            .collect();
        let words = words(&set, "my-raft-0");
        let named = flag(&words, "initial-cluster").unwrap();
        assert_eq!(named, founders.join(","), "{values}");
    }
}

#[test]
fn probes_ask_where_the_server_listens() {
    for values in wishes() {
        let set = set(&values);
        let container = container(&set);
        let words = words(&set, "my-raft-0");
        for (probe, path) in [
            ("livenessProbe", "/livez"),
            ("readinessProbe", "/readyz"),
            ("startupProbe", "/livez"),
        ] {
            let get = &container[probe]["httpGet"];
            assert_eq!(get["path"], path);
            let port = list(&container["ports"])
                .iter()
                .find(|port| port["name"] == get["port"])
                .unwrap_or_else(|| panic!("{probe}: no port {}", get["port"]));
            let scheme = text(&get["scheme"]).to_lowercase();
            let asked = format!("{scheme}://0.0.0.0:{}", port["containerPort"]);
            let listens = ["listen-client-urls", "listen-metrics-urls"]
                .map(|name| flag(&words, name).unwrap_or_default());
            assert!(listens.contains(&asked.as_str()), "{asked}: {values}");
            // Who probes has no certificate to show.
            let wants_one = words.iter().any(|word| word == "--client-cert-auth");
            assert!(!wants_one || scheme == "http", "{values}");
        }
    }
}

#[test]
fn services_lead_to_the_ports_of_the_pods() {
    for values in wishes() {
        let objects = objects(&values);
        let set = set(&values);
        let pod = &set["spec"]["template"];
        let ports = list(&container(&set)["ports"]);
        for ((kind, name), service) in &objects {
            if kind != "Service" {
                continue;
            }
            for port in list(&service["spec"]["ports"]) {
                let to = ports.iter().find(|one| one["name"] == port["targetPort"]);
                let to = to.unwrap_or_else(|| panic!("{name}: {port}"));
                assert_eq!(to["containerPort"], port["port"], "{name}");
            }
            for (label, value) in service["spec"]["selector"].as_object().unwrap() {
                assert_eq!(&pod["metadata"]["labels"][label], value, "{name}: {label}");
            }
        }
        let headless = text(&set["spec"]["serviceName"]).to_owned();
        let headless = &objects[&("Service".to_owned(), headless)]["spec"];
        assert_eq!(headless["clusterIP"], "None");
        assert_eq!(headless["publishNotReadyAddresses"], true);
        assert_eq!(set["spec"]["selector"]["matchLabels"], headless["selector"]);
    }
}

#[test]
fn a_disruption_leaves_a_majority() {
    for replicas in 2..=9 {
        let objects = objects(&json!({ "replicas": replicas }));
        let budget = &objects[&("PodDisruptionBudget".to_owned(), "my-raft".to_owned())];
        let away = budget["spec"]["maxUnavailable"].as_u64().unwrap();
        assert!((replicas - away) * 2 > replicas, "{away} of {replicas}");
        assert!(
            (replicas - away - 1) * 2 <= replicas,
            "{away} of {replicas}"
        );
    }
}

#[test]
fn pods_start_together_and_have_no_rights() {
    for values in wishes() {
        let set = set(&values);
        assert_eq!(set["spec"]["podManagementPolicy"], "Parallel");
        let pod = &set["spec"]["template"]["spec"];
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["automountServiceAccountToken"], false);
        // Kubernetes would name variables RAFT_.. after a service called raft.
        assert_eq!(pod["enableServiceLinks"], false);
        let context = &container(&set)["securityContext"];
        assert_eq!(context["allowPrivilegeEscalation"], false);
        assert_eq!(context["readOnlyRootFilesystem"], true);
        assert_eq!(context["capabilities"]["drop"], json!(["ALL"]));
        let dockerfile = read(&packaging().join("Dockerfile"));
        let user = &pod["securityContext"]["runAsUser"];
        assert!(dockerfile.contains(&format!("\nUSER {user}:")), "{user}");
    }
}

#[test]
fn files_lie_where_something_is_mounted() {
    for values in wishes() {
        let set = set(&values);
        let words = words(&set, "my-raft-0");
        let mounts = list(&container(&set)["volumeMounts"]);
        let pod = &set["spec"]["template"]["spec"];
        let claims = list(&set["spec"]["volumeClaimTemplates"]).iter();
        let volumes = pod["volumes"].as_array().into_iter().flatten();
        let there: Vec<&Value> = claims
            .map(|claim| &claim["metadata"]["name"])
            .chain(volumes.map(|volume| &volume["name"]))
            .collect();
        for mount in mounts {
            assert!(there.contains(&&mount["name"]), "{mount}");
        }
        assert_eq!(there.len(), mounts.len());
        for path in words.iter().filter_map(|word| word.split_once("=/")) {
            let path = format!("/{}", path.1);
            let is_below = |mount: &Value| path.starts_with(text(&mount["mountPath"]));
            assert!(mounts.iter().any(is_below), "{path}: {values}");
        }
    }
}

#[test]
fn the_notes_say_what_works() {
    for values in wishes() {
        let notes = rendered(&values).remove("NOTES.txt").unwrap();
        let mut commands = 0;
        for line in notes.lines() {
            if let Some((_, words)) = line.split_once("raft-cli ") {
                let words: Vec<&str> = words.split_whitespace().collect();
                command_line::check(&[&["raft-cli"], words.as_slice()].concat(), "NOTES.txt");
                commands += 1;
            }
        }
        assert_eq!(commands, 3, "{notes}");
    }
}

#[test]
fn the_chart_is_of_the_version_of_the_workspace() {
    let manifest: toml::Table = read(&root().join("Cargo.toml")).parse().unwrap();
    let version = manifest["workspace"]["package"]["version"]
        .as_str()
        .unwrap();
    let chart = one(&read(&chart().join("Chart.yaml")));
    assert_eq!(chart["apiVersion"], "v2");
    assert_eq!(chart["version"], version);
    assert_eq!(chart["appVersion"], version);
    let image = text(&container(&set(&json!({})))["image"]).to_owned();
    assert_eq!(image, format!("raft-cli:{version}"));
}
