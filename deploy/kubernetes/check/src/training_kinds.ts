// The kinds of Kubeflow and JobSet, of which no package has models: what their custom resource definitions say of the fields
// that may be used here. What a job or a pod is comes from kubernetes-models.

import type { IJobSpec } from 'kubernetes-models/batch/v1/JobSpec';
import type { IPodTemplateSpec } from 'kubernetes-models/v1/PodTemplateSpec';
import type { IResourceRequirements } from 'kubernetes-models/v1/ResourceRequirements';
import type { IEnvVar } from 'kubernetes-models/v1/EnvVar';

interface Metadata {
  name: string;
  namespace?: string;
  labels?: { [key: string]: string };
  annotations?: { [key: string]: string };
}

interface JobTemplate {
  metadata?: Omit<Metadata, 'name'>;
  spec: IJobSpec;
}

interface JobSetSpec {
  replicatedJobs: { name: string; replicas?: number; template: JobTemplate }[];
  network?: { enableDNSHostnames?: boolean; subdomain?: string; publishNotReadyAddresses?: boolean };
  successPolicy?: { operator: 'All' | 'Any'; targetReplicatedJobs?: string[] };
  failurePolicy?: { maxRestarts?: number };
  suspend?: boolean;
  ttlSecondsAfterFinished?: number;
}

export interface JobSet {
  apiVersion: 'jobset.x-k8s.io/v1alpha2';
  kind: 'JobSet';
  metadata: Metadata;
  spec: JobSetSpec;
}

interface ReplicaSpec {
  replicas: number;
  restartPolicy: 'Always' | 'OnFailure' | 'Never' | 'ExitCode';
  template: IPodTemplateSpec;
}

export interface PyTorchJob {
  apiVersion: 'kubeflow.org/v1';
  kind: 'PyTorchJob';
  metadata: Metadata;
  spec: {
    nprocPerNode?: string;
    runPolicy?: {
      cleanPodPolicy?: 'All' | 'Running' | 'None';
      backoffLimit?: number;
      activeDeadlineSeconds?: number;
      ttlSecondsAfterFinished?: number;
      suspend?: boolean;
    };
    pytorchReplicaSpecs: { Master?: ReplicaSpec; Worker?: ReplicaSpec };
  };
}

interface TrainingRuntimeSpec {
  mlPolicy?: { numNodes?: number; torch?: { numProcPerNode?: number | 'auto' | 'cpu' | 'gpu' } };
  template: { metadata?: Omit<Metadata, 'name'>; spec: JobSetSpec };
}

export interface TrainingRuntime {
  apiVersion: 'trainer.kubeflow.org/v1alpha1';
  kind: 'TrainingRuntime';
  metadata: Metadata;
  spec: TrainingRuntimeSpec;
}

export interface TrainJob {
  apiVersion: 'trainer.kubeflow.org/v1alpha1';
  kind: 'TrainJob';
  metadata: Metadata;
  spec: {
    runtimeRef: { name: string; apiGroup?: string; kind?: 'TrainingRuntime' | 'ClusterTrainingRuntime' };
    trainer?: {
      image?: string;
      command?: string[];
      args?: string[];
      env?: IEnvVar[];
      numNodes?: number;
      resourcesPerNode?: IResourceRequirements;
      numProcPerNode?: number;
    };
    suspend?: boolean;
  };
}
