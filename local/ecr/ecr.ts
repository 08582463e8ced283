import { AwsError, type Service } from '../service.ts';

/** ECR without any repository: `sls remove` looks whether it has one of the service's to remove. */
export const ecrService: Service = {
  signingName: 'ecr',
  operations: {
    DescribeRepositories(input: { readonly repositoryNames?: readonly string[] }) {
      const [name] = input.repositoryNames ?? [];
      if (name === undefined) return { repositories: [] };
      throw new AwsError(
        'RepositoryNotFoundException',
        `The repository with name '${name}' does not exist in the registry`,
      );
    },
  },
};
