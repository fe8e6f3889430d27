// Every kind that may be rendered: where its type is, and what validates an object of it.

import { Certificate, Issuer, ClusterIssuer } from '@kubernetes-models/cert-manager/cert-manager.io/v1';
import { PodMonitor, PrometheusRule, ServiceMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1';
import { StatefulSet } from 'kubernetes-models/apps/v1';
import { Job } from 'kubernetes-models/batch/v1';
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1';
import { ConfigMap, Namespace, PodTemplateSpec, Service, ServiceAccount } from 'kubernetes-models/v1';

export interface Kind {
  // Module and name of the TypeScript type.
  module: string;
  type: string;
  // Throws with the reason where the object breaks the schema.
  validate(object: never): void;
}

interface Validated {
  validate(): void;
}

function of(module: string, model: { new (data: never): Validated; apiVersion?: string; kind?: string }): [string, Kind] {
  const validate = (object: never) => new model(object).validate();
  return [`${model.apiVersion} ${model.kind}`, { module, type: `I${model.kind}`, validate }];
}

// A kind without a model: the pods and jobs in it are validated, the rest is left to its type.
function own(apiVersion: string, kind: string): [string, Kind] {
  const validate = (object: never) => validateEmbedded(object);
  return [`${apiVersion} ${kind}`, { module: './training_kinds', type: kind, validate }];
}

// A template whose spec has containers is one of a pod; one whose spec has a template again is one of a job.
function validateEmbedded(part: unknown): void {
  if (typeof part !== 'object' || part === null) return;
  for (const [name, value] of Object.entries(part)) {
    const spec = name === 'template' ? value?.spec : undefined;
    if (spec?.containers) new PodTemplateSpec(value).validate();
    if (spec?.template) new Job({ metadata: { name: 'embedded' }, spec }).validate();
    validateEmbedded(value);
  }
}

const core = 'kubernetes-models';
const operator = '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1';
const certManager = '@kubernetes-models/cert-manager/cert-manager.io/v1';

export const kinds = new Map<string, Kind>([
  of(`${core}/v1`, ConfigMap),
  of(`${core}/v1`, Namespace),
  of(`${core}/v1`, Service),
  of(`${core}/v1`, ServiceAccount),
  of(`${core}/apps/v1`, StatefulSet),
  of(`${core}/batch/v1`, Job),
  of(`${core}/networking.k8s.io/v1`, NetworkPolicy),
  of(`${core}/policy/v1`, PodDisruptionBudget),
  of(operator, PodMonitor),
  of(operator, PrometheusRule),
  of(operator, ServiceMonitor),
  of(certManager, Certificate),
  of(certManager, ClusterIssuer),
  of(certManager, Issuer),
  own('jobset.x-k8s.io/v1alpha2', 'JobSet'),
  own('kubeflow.org/v1', 'PyTorchJob'),
  own('trainer.kubeflow.org/v1alpha1', 'TrainingRuntime'),
  own('trainer.kubeflow.org/v1alpha1', 'TrainJob'),
]);
